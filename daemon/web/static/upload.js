// Files are dropped, chosen or photographed, listed, and sent in parts that continue after a lost connection.
import { $, all, base, icon, make, request, say, size, toast } from './dom.js';

const PART = 8 * 1024 * 1024; // bytes of one request
const COMMON = ['language', 'prompt', 'vocabulary', 'word_timestamps', 'channel', 'dpi', 'second_reading', 'task'];
const HIDDEN = ['task', 'json_schema'];
let chosen = [], recipes = [], sending = 0;

function show() {
  $('#files').replaceChildren(...chosen.map((file, at) => {
    const remove = make('button', { className: 'bare', type: 'button', 'aria-label': `Remove ${file.name}` }, icon('x'));
    remove.addEventListener('click', () => { chosen.splice(at, 1); show(); });
    return make('li', {}, make('span', {}, file.name), make('small', {}, size(file.size)), remove);
  }));
  $('#send').textContent = chosen.length ? `Upload ${chosen.length} file${chosen.length === 1 ? '' : 's'}` : 'Upload';
}

function choose(files) {
  const limit = Number($('#add').dataset.limit);
  const large = [...files].filter((file) => file.size > limit);
  if (large.length) toast(`${large[0].name} is too large`, `The limit is ${size(limit)}. Put the file into the inbox folder instead.`);
  chosen.push(...[...files].filter((file) => file.size <= limit));
  show();
  say(`${chosen.length} files chosen`);
}

/** The files of a drop, those in folders too. */
async function dropped(items) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()).filter(Boolean);
  const found = [];
  const walk = async (entry) => {
    if (entry instanceof File) { found.push(entry); return; }
    if (entry.isFile) { found.push(await new Promise((resolve, reject) => entry.file(resolve, reject))); return; }
    const reader = entry.createReader();
    for (;;) {
      const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!part.length) return;
      for (const each of part) await walk(each);
    }
  };
  for (const entry of entries) await walk(entry);
  return found;
}

// ------------------------------------------------------------------ options

const words = (name) => { const text = name.replaceAll('_', ' '); return text[0].toUpperCase() + text.slice(1); };

/** The plain type of a field of a JSON Schema: anyOf with null means that it may be left out. */
function kindOf(schema, defs) {
  const parts = (schema.anyOf ?? [schema]).filter((each) => each.type !== 'null').map((each) => (each.$ref ? defs[each.$ref.split('/').pop()] : each));
  const choices = parts.flatMap((each) => each.enum ?? (each.const !== undefined ? [each.const] : []));
  if (choices.length && choices.length === parts.flatMap((each) => each.enum ?? [each.const]).length) return { type: 'choice', choices };
  return { type: parts[0]?.type ?? 'string' };
}

function field(name, schema, defs, value) {
  const id = `o-${name}`, { type, choices } = kindOf(schema, defs);
  const shown = value === null || value === undefined ? '' : Array.isArray(value) ? value.join(', ') : String(value);
  if (type === 'boolean') {
    const box = make('input', { type: 'checkbox', id, checked: value === true });
    Object.assign(box.dataset, { option: name, kind: type, initial: String(value === true) });
    return make('p', {}, make('label', { className: 'c' }, box, ` ${words(name)}`));
  }
  let input;
  if (type === 'choice') {
    const options = choices.map((each) => make('option', { value: each, selected: each === value }, String(each)));
    if (value === null || !choices.includes(value)) options.unshift(make('option', { value: '', selected: true }, 'Default of the recipe'));
    input = make('select', { id }, ...options);
  } else if (name.includes('prompt')) {
    input = make('textarea', { id, placeholder: shown });
  } else {
    input = make('input', { id, placeholder: shown, inputMode: ['integer', 'number'].includes(type) ? 'decimal' : 'text' });
  }
  Object.assign(input.dataset, { option: name, kind: type, initial: type === 'choice' ? input.value : '' });
  const hint = type === 'array' ? [' ', make('span', { className: 'hint' }, 'Separated by commas')] : [];
  return make('div', {}, make('label', { htmlFor: id }, words(name), ...hint), input);
}

function recipeOf(folder, name) {
  if (name) return [name];
  let place = folder;
  for (;;) {
    const bound = recipes.filter((each) => each.folders.includes(place)).map((each) => each.name);
    if (bound.length || !place) return bound;
    place = place.includes('/') ? place.slice(0, place.lastIndexOf('/')) : '';
  }
}

function showOptions() {
  const names = recipeOf($('#fo').value, $('#re').value), place = $('#options');
  const recipe = recipes.find((each) => each.name === names[0]);
  if (names.length !== 1 || !recipe) {
    place.replaceChildren(names.length > 1 ? make('p', { className: 'soft' }, `Recipes of this folder: ${names.join(', ')}. Choose one to set its options.`) : '');
    return;
  }
  const defs = recipe.schema.$defs ?? {};
  const fields = Object.entries(recipe.schema.properties ?? {}).filter(([name]) => !HIDDEN.includes(name));
  const built = (list) => list.map(([name, schema]) => field(name, schema, defs, recipe.options[name]));
  const common = fields.filter(([name]) => COMMON.includes(name)), rest = fields.filter(([name]) => !COMMON.includes(name));
  const more = make('details', {}, make('summary', {}, `More options of ${recipe.name}`), make('div', { className: 'stack gap' }, ...built(rest)));
  place.replaceChildren(recipe.note ? make('p', { className: 'soft' }, recipe.note) : '', ...built(common), rest.length ? more : '');
}

/** The options that differ from what the recipe says. */
function options() {
  const found = {};
  for (const each of all('[data-option]')) {
    const { option, kind, initial } = each.dataset;
    const value = kind === 'boolean' ? String(each.checked) : each.value.trim();
    if (value === initial || value === '') continue;
    if (kind === 'boolean') found[option] = each.checked;
    else if (kind === 'array') found[option] = value.split(',').map((part) => part.trim()).filter(Boolean).map((part) => (Number.isNaN(Number(part)) ? part : Number(part)));
    else if (kind === 'integer' || kind === 'number') found[option] = Number(value.replace(',', '.'));
    else found[option] = value;
  }
  return found;
}

// ------------------------------------------------------------------ sending

function progressRow(file) {
  const bar = make('progress', { max: Math.max(1, file.size), value: 0, 'aria-label': file.name });
  const text = make('small', {}, 'waiting'), stop = make('button', { className: 'bare', type: 'button' }, 'Stop', make('span', { className: 'sr' }, ` ${file.name}`));
  const row = make('li', {}, make('span', {}, file.name), bar, text, stop);
  $('#files').append(row);
  return { row, bar, text, stop };
}

async function send(file, query) {
  const { row, bar, text, stop } = progressRow(file);
  const control = new AbortController(), id = crypto.randomUUID?.() ?? uuid();
  stop.addEventListener('click', () => control.abort());
  const address = `/api/v1/files/${encodeURIComponent(file.name)}?upload=${id}&${query}`;
  let at = 0, wait = 1;
  while (at < file.size || file.size === 0) {
    const end = Math.min(file.size, at + PART);
    try {
      const options = { method: 'PUT', body: file.slice(at, end), signal: control.signal };
      if (file.size) options.headers = { 'Content-Range': `bytes ${at}-${end - 1}/${file.size}` };
      const answer = await fetch(`${base}${file.size ? address : address.replace(/upload=[^&]*&/, '')}`, options);
      if (answer.status === 409 && answer.headers.get('Upload-Offset')) { at = Number(answer.headers.get('Upload-Offset')); continue; }
      if (answer.status === 503) { text.textContent = 'waiting for inboxd'; await pause(Number(answer.headers.get('Retry-After') ?? 5)); continue; }
      if (!answer.ok) throw new Refused((await answer.json().catch(() => null))?.error?.message ?? `The console answered ${answer.status}.`);
      at = end;
      wait = 1;
    } catch (error) {
      if (control.signal.aborted) { row.remove(); return false; }
      if (error instanceof Refused) { row.remove(); toast(`${file.name} was not uploaded`, error.message); return false; }
      text.textContent = 'waiting for the connection';
      await pause(wait);
      wait = Math.min(30, wait * 2);
      at = await offset(address, at);
      continue;
    }
    bar.value = at;
    text.textContent = `${size(at)} of ${size(file.size)}`;
    if (file.size === 0) break;
  }
  row.remove();
  return true;
}

class Refused extends Error {}
const pause = (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
const uuid = () => '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, (c) => (+c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (+c / 4)))).toString(16));

/** How much of an upload has arrived. */
async function offset(address, otherwise) {
  try {
    const answer = await fetch(`${base}${address}`, { method: 'HEAD' });
    return answer.status === 404 ? 0 : Number(answer.headers.get('Upload-Offset') ?? otherwise);
  } catch { return otherwise; }
}

async function sendAll(event) {
  event.preventDefault();
  if (!chosen.length) { $('#f').click(); return; }
  const query = new URLSearchParams({ folder: $('#fo').value, recipe: $('#re').value, options: JSON.stringify(options()) });
  localStorage.setItem('folder', $('#fo').value);
  const files = chosen;
  chosen = [];
  show();
  sending += 1;
  let sent = 0;
  for (const file of files) sent += await send(file, query) ? 1 : 0;
  sending -= 1;
  say(`${sent} of ${files.length} files uploaded`);
  if (!$('#list') && sent) location.reload();
}

export async function setUpUpload() {
  const form = $('#add');
  if (!form) return;
  form.addEventListener('submit', sendAll);
  for (const input of all('#f, #photo')) input.addEventListener('change', () => { choose(input.files); input.value = ''; });
  addEventListener('dragover', (event) => { if (event.dataTransfer?.types.includes('Files')) { event.preventDefault(); $('.drop').classList.add('over'); } });
  addEventListener('dragleave', (event) => { if (!event.relatedTarget) $('.drop').classList.remove('over'); });
  addEventListener('drop', async (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    $('.drop').classList.remove('over');
    choose(await dropped(event.dataTransfer.items));
    $('#send').focus();
  });
  addEventListener('beforeunload', (event) => { if (sending) event.preventDefault(); });
  const folder = localStorage.getItem('folder');
  if ([...$('#fo').options].some((each) => each.value === folder)) $('#fo').value = folder;
  for (const each of [$('#fo'), $('#re')]) each.addEventListener('change', showOptions);
  try {
    recipes = (await (await request('/api/v1/recipes')).json()).recipes;
    showOptions();
  } catch { /* without the daemon there are no options, and no uploads */ }
}
