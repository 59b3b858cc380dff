"""Checks of the models that recipes in use need."""

from collections.abc import Iterator

from daemon.config.settings import Recipe, Settings
from daemon.doctor.finding import FAIL, OK, WARN, Findings
from daemon.doctor.installation import Installation
from daemon.intake.overrides import options_of
from processors import contract
from processors.ocr import downloaded_models
from processors.ocr.languages import LANGUAGES


def models(settings: Settings, installation: Installation | None) -> Findings:
    """Check that each recipe in use can run now."""
    for name, recipe, plan in plans_in_use(settings):
        match plan:
            case contract.NotReady():
                verdict = WARN if plan.lacks_extra else FAIL
                yield verdict, f"{name} cannot run, so its files wait: {plan.why}", _fix(plan.why)
            case contract.Substitute():
                yield OK, f"{name} uses {plan.processor} instead of {recipe.processor}: {plan.why}", ""
            case _ if name_of_weights := recipe.cls.weights_to_fetch(recipe.options, settings.models):
                yield _fetching(name, name_of_weights, installation)
            case _:
                model, servers = getattr(recipe.options, "model", ""), getattr(recipe.options, "base_urls", ())
                condition = f", if {' or '.join(servers)} responds" if servers else ""
                yield OK, f"{name} can run: {recipe.processor}{f', {model}' if model else ''}{condition}", ""


def scripts(settings: Settings, _: Installation | None) -> Findings:
    """Report which scripts OCR reads, and check that the models of the requested languages are stored."""
    recipes = [options_of(recipe, {}) for _, recipe, plan in plans_in_use(settings) if _uses_ocr(recipe, plan)]
    if not recipes:
        return
    stored = downloaded_models.stored(settings.models)
    found = f"the built-in model reads {downloaded_models.BUILT_IN}"
    if stored:
        found += f"; stored models: {', '.join(map(_model, stored))}"
    others = [name for name in downloaded_models.MODELS if name not in stored]
    found += f"; not stored: {', '.join(map(_model, others))}" if others else ""
    yield OK, found, ""
    wanted = [language for options in recipes for language in getattr(options, "languages", ())]
    for name in dict.fromkeys(LANGUAGES[language] for language in wanted):
        if name not in stored:
            yield FAIL, f"a recipe requires {_model(name)}, which is not stored", f"inboxd models fetch {name}"


def _uses_ocr(recipe: Recipe, plan: contract.Plan) -> bool:
    processor = plan.processor if isinstance(plan, contract.Substitute) else recipe.processor
    return processor in ("ocr", "text")  # `text` reads attachments


def _model(name: str) -> str:
    return f"{name} ({downloaded_models.purpose_of(name)})"


def _fetching(name: str, weights: str, installation: Installation | None) -> tuple[str, str, str]:
    """A finding about weights that are missing and would be downloaded with the first file."""
    fix, user = f"inboxd models fetch {weights}", installation.user if installation else None
    if installation and not installation.paths.is_for_user and "PrivateNetwork=no" not in installation.drop_ins:
        fix = f"sudo -u {user.pw_name} {fix}" if user else fix
        return FAIL, f"{name} cannot run: the weights {weights} are missing, and the service has no network", fix
    return WARN, f"{name} can run, but will download the weights {weights} for the first file", fix


def plans_in_use(settings: Settings) -> Iterator[tuple[str, Recipe, contract.Plan]]:
    """The recipes in use, with the options of the folders that use them."""
    seen = set()
    for folder_name, folder in sorted(settings.folders.items()):
        for name in sorted(folder.recipes.values()):
            recipe = settings.recipes[name]
            own = {
                key: value for key, value in folder.options.items() if key in type(recipe.recipe_options).model_fields
            }
            if (name, repr(own)) in seen:
                continue
            seen.add((name, repr(own)))
            plan = recipe.cls.plan(recipe.options, options_of(recipe, own), settings.models)
            yield f"{name} (in {folder_name})" if own and folder_name else name, recipe, plan


def _fix(why: str) -> str:
    """The command that the reason names, if it names one."""
    if (run := why.find("Run: ")) >= 0:  # the end of the sentence, and of the reason
        return why[run + len("Run: ") :]
    start = why.find("inboxd models fetch")
    if start < 0:
        return "See docs/settings.md for the options of the recipe's processor."
    return " ".join(why[start:].split()[:4]).strip(".,;`'\"")
