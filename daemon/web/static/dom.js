// Small helpers of the other modules.
export const base = document.documentElement.dataset.base;
export const $ = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element with properties and children; text is text, never markup. */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== 'list') made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function icon(name, css = '') {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg'), use = document.createElementNS(space, 'use');
  svg.setAttribute('class', `i ${css}`);
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Move the focus in a list. */
export function step(list, by) {
  const at = list.findIndex((each) => each.contains(document.activeElement));
  list.at(Math.max(0, Math.min(list.length - 1, at + by)))?.focus();
}

/** Let a screen reader say something. */
export function say(text) { const place = $('#said'); if (place) place.textContent = text; }

/** A message that stays until it is closed. `again`: what its button does. */
export function toast(title, text = '', again = null) {
  const close = make('button', { className: 'bare', type: 'button', 'aria-label': 'Dismiss' }, icon('x'));
  const body = make('div', {}, make('strong', {}, title), make('p', {}, text));
  const made = make('div', { className: 'toast', role: 'alert' }, icon('fail', 'fail'), body);
  if (again) {
    const button = make('button', { className: 'bare', type: 'button' }, 'Try again');
    button.addEventListener('click', () => { made.remove(); again(); });
    made.append(button);
  }
  made.append(close);
  close.addEventListener('click', () => made.remove());
  $('#toasts').replaceChildren(made);
}

/** A request to the API; an Error with what the server says if it is refused. */
export async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`${base}${path}`, { credentials: 'same-origin', ...options });
  } catch {
    throw new Error('The console does not answer.');
  }
  if (answer.status === 401) { location.assign(`${base}/login?to=${encodeURIComponent(location.pathname.slice(base.length))}`); }
  if (!answer.ok) {
    const body = await answer.json().catch(() => null);
    throw new Error(body?.error?.message ?? `The console answered ${answer.status}.`);
  }
  return answer;
}

export function size(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (bytes >= 1000 && unit < 4) { bytes /= 1000; unit += 1; }
  return `${bytes.toLocaleString(navigator.languages, { maximumFractionDigits: unit > 1 && bytes < 100 ? 1 : 0 })} ${units[unit]}`;
}
