// Server-sent events: rows change in place, new ones are announced, the connection is shown.
import { $, all, base, make, request, say } from './dom.js';

const pending = new Set();
let timer = 0, lastSeen = '', source = null, wait = 1, lostAt = null;
const fresh = new Set();

/** Fetch the rows of jobs, and put them where the old ones are. */
export async function refresh(ids) {
  const answer = await request(`/rows?ids=${ids.join(',')}`);
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const row of all('tr[data-job]', page)) replace(document.adoptNode(row));
  for (const each of all('[data-count]', page)) count(each.dataset.count, each.value ?? each.getAttribute('value'), each.textContent);
}

function replace(row) {
  const old = $(`#${row.id}`), shown = $(`[data-shown-job="${row.dataset.job}"]`);
  if (old) {
    const focus = old.contains(document.activeElement) ? document.activeElement.tagName : null;
    if (old.dataset.state !== row.dataset.state) announce(row);
    const pick = $('.pick', old), picked = $('.pick', row);
    if (pick && picked) picked.checked = pick.checked;
    old.replaceWith(row);
    if (focus) $(focus === 'BUTTON' ? 'button, .btn, a' : 'a', row)?.focus();
  } else if ($('#list') || $('.empty')) {
    offer(row);
  }
  const state = row.dataset.state;
  if (shown && ['Done', 'Needs review', 'Failed', 'Cancelled'].includes(state) && !['done', 'failed', 'cancelled'].includes(shown.dataset.shownState)) location.reload();
}

function announce(row) {
  const state = row.dataset.state, name = $('.job a', row).textContent;
  if (['Done', 'Needs review', 'Failed', 'Cancelled'].includes(state)) say(`${name}: ${state}. ${$('[data-line]', row).textContent.trim()}`);
}

/** A job that is not in the list: at its top if nobody looks at it, else behind a button. */
function offer(row) {
  const query = new URLSearchParams(location.search);
  if (['q', 'folder', 'recipe', 'before', 'state'].some((name) => query.get(name))) return;
  const list = $('#list'), isIdle = scrollY < 40 && !list?.matches(':hover') && !list?.contains(document.activeElement);
  if (list && isIdle) { insert(row); return; }
  fresh.add(row.dataset.job);
  const button = $('#fresh');
  if (!button) return;
  button.textContent = fresh.size === 1 ? '1 new job' : `${fresh.size} new jobs`;
  button.hidden = false;
  button.onclick = () => location.reload();
}

function insert(row) {
  const list = $('#list');
  let now = list.tBodies[0];
  if ($('th', now)?.textContent !== 'Now') {
    now = make('tbody', {}, make('tr', { className: 'day' }, make('th', { colSpan: 2, scope: 'rowgroup' }, 'Now')));
    list.tHead.after(now);
  }
  now.rows[0].after(row);
}

function count(name, value, text) {
  const place = $(`.tabs [data-count="${name}"]`);
  if (place) place.textContent = text;
  const badge = $('[data-reviews]');
  if (name === 'review' && badge) { $('span', badge).textContent = text; badge.hidden = value === '0'; }
}

function changed(id) {
  pending.add(id);
  timer ||= setTimeout(async () => {
    timer = 0;
    const ids = [...pending].slice(0, 100);
    ids.forEach((each) => pending.delete(each));
    try { await refresh(ids); } catch { /* the next event, or the next connection, brings it */ }
  }, 250);
}

/** The line of a running job: a real amount of pages, seconds or bytes. */
function showProgress(job) {
  if (!job.progress) return;
  const { done, total, unit } = job.progress;
  for (const line of [$(`#j-${job.job} [data-line]`), $(`[data-shown-job="${job.job}"] ~ .empty [data-line]`)]) {
    if (!line) continue;
    const bar = $('progress', line);
    const text = unit === 'seconds' ? `${clock(done)}${total ? ` of ${clock(total)}` : ''}`
      : unit === 'pages' && total ? `page ${Math.min(done + 1, total)} of ${total}` : `${done}${total ? ` of ${total}` : ''} ${unit}`;
    if (total && !bar) line.replaceChildren(make('progress', { value: done, max: total, 'aria-label': 'Progress' }), ` ${text}`);
    else if (bar) { bar.max = total; bar.value = done; bar.nextSibling.textContent = ` ${text}`; } else line.textContent = text;
  }
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds)), two = (number) => String(number).padStart(2, '0');
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function setAvailable(isAvailable) {
  const live = $('#live');
  if ((live.dataset.state === 'live') === isAvailable) return;
  live.dataset.state = isAvailable ? 'live' : 'off';
  $('span', live).textContent = isAvailable ? 'Live' : 'Offline';
  $('#offline').hidden = isAvailable;
  lostAt = isAvailable ? null : lostAt ?? new Date();
  if (lostAt) $('[data-since]').textContent = `It shows the state at ${lostAt.toLocaleTimeString(navigator.languages, { hour: '2-digit', minute: '2-digit' })}.`;
}

function connect() {
  source?.close();
  source = new EventSource(`${base}/api/v1/events${lastSeen ? `?after=${lastSeen}` : ''}`);
  source.onopen = () => { wait = 1; };
  source.onerror = () => {
    source.close();
    setAvailable(false);
    setTimeout(connect, wait * 1000);
    wait = Math.min(30, wait * 2);
  };
  source.addEventListener('job', (event) => { lastSeen = event.lastEventId; changed(JSON.parse(event.data).job); });
  source.addEventListener('progress', (event) => JSON.parse(event.data).forEach(showProgress));
  source.addEventListener('daemon', (event) => setAvailable(JSON.parse(event.data).available));
}

export function setUpLive() {
  $('[data-reconnect]').addEventListener('click', connect);
  connect();
  addEventListener('pagehide', () => source?.close());
  addEventListener('pageshow', (event) => { if (event.persisted) connect(); });
}
