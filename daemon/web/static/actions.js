// Buttons that send a command: at once, without leaving the page.
import { $, all, base, request, say, toast } from './dom.js';
import { refresh } from './live.js';

const API = { cancel: 'cancel', retry: 'retry' };
const DOING = { cancel: 'Cancelling…', retry: 'Queuing…', pause: 'Pausing…', resume: 'Resuming…', unload: 'Freeing…', review: 'Saving…' };

async function send(form, action) {
  const button = $('button', form), words = [...button.childNodes];
  const name = form.closest('tr')?.querySelector('.job a')?.textContent ?? $('h1')?.textContent ?? '';
  button.disabled = true;
  const slow = setTimeout(() => button.replaceChildren(DOING[action] ?? '…'), 1000);
  try {
    const path = new URL(form.action).pathname.slice(base.length);
    const job = path.match(/^\/jobs\/([0-9a-f-]{36})\//)?.[1];
    if (API[action]) await request(`/api/v1/jobs/${job}/${API[action]}`, { method: 'POST' });
    else if (action === 'review') await request(path.replace(/^\/jobs\//, '/api/v1/jobs/'), { method: 'POST' });
    else await done(await request(`/api/v1/${action}`, { method: 'POST' }), action);
    if (form.closest('tr')) await refresh([job]); else location.reload();
  } catch (error) {
    toast(`${name ? `${name}: ` : ''}not done`, error.message, () => form.requestSubmit());
  } finally {
    clearTimeout(slow);
    button.replaceChildren(...words);
    button.disabled = false;
  }
}

async function done(answer, action) {
  if (action !== 'unload') return;
  const { ended, busy } = await answer.json();
  say(ended.length ? `Freed: ${ended.join(', ')}` : `No model is idle${busy.length ? `; busy: ${busy.join(', ')}` : ''}`);
}

export function setUpActions() {
  addEventListener('submit', (event) => {
    const action = event.target.dataset?.action;
    if (action) { event.preventDefault(); send(event.target, action); }
  });
  $('#every')?.addEventListener('click', () => {
    const picks = all('.list .pick'), isAny = picks.some((each) => !each.checked);
    picks.forEach((each) => { each.checked = isAny; });
  });
  for (const each of all('[data-copy]')) each.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText($(each.dataset.copy).innerText);
      say('Copied');
      each.textContent = 'Copied';
    } catch { toast('Not copied', 'The browser does not allow copying here. Select the text instead.'); }
  });
}
