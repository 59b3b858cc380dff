"""A processor whose plan breaks."""

from processors.contract import Options, Plan, RecipeOptions
from processors.plaintext import Plaintext


class Unplannable(Plaintext):
    name = "fakes.unplannable"

    @classmethod
    def plan(cls, options: Options, recipe: RecipeOptions, models: object) -> Plan:
        raise ArithmeticError("no plan")


processor = Unplannable
