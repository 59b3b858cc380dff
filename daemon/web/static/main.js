// The console works without scripts; these keep it up to date, and spare a few steps.
import { setUpLive } from './live.js';
import { setUpUpload } from './upload.js';
import { setUpJob } from './job.js';
import { $, all, base, step } from './dom.js';
import { setUpActions } from './actions.js';

// ------------------------------------------------------------------ look and shortcuts
const cookie = (name, value) => { document.cookie = `${name}=${value}; Path=${base}/; Max-Age=31536000; SameSite=Strict`; };
for (const each of all('[name=look]')) each.addEventListener('change', () => {
  document.documentElement.dataset.look = each.value;
  cookie('look', each.value);
});
const keys = $('#keys');
if (keys) {
  keys.checked = localStorage.getItem('keys') !== 'off';
  keys.addEventListener('change', () => localStorage.setItem('keys', keys.checked ? 'on' : 'off'));
}

addEventListener('keydown', (event) => {
  if (event.target.matches('input, textarea, select') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!keys?.checked || $(':popover-open')) return;
  const player = $('#au');
  const rows = () => all('.job a, .rows a, .say > a');
  const action = {
    j: () => step(rows(), 1), k: () => step(rows(), -1), f: () => step(all('.mark a, .say.look-p > a'), 1),
    '/': () => ($('#q') ? $('#q').focus() : location.assign(`${base}/search`)), u: () => ($('#f') ? $('#f').focus() : location.assign(`${base}/#add`)),
    r: () => $('#reviewed')?.focus(), n: () => location.assign($('#nextreview')?.href ?? `${base}/reviews/next`), Escape: () => $('.crumb a')?.click(),
    ' ': player && event.target === document.body ? () => (player.paused ? player.play() : player.pause()) : null,
  }[event.key];
  if (action) { event.preventDefault(); action(); }
});

// ------------------------------------------------------------------ the parts of the pages
setUpActions();
setUpUpload();
setUpJob();
if ($('#live')) setUpLive();

document.documentElement.dataset.ready = '';

const login = $('#login');
if (login && location.hash.length > 16) { // `inboxd web` prints an address with the token, which no server or log sees
  login.token.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, '', location.pathname + location.search);
  login.requestSubmit();
}
