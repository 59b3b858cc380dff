// The page of a job: rows and their boxes, places cut from the page, the player and its transcript.
import { $, all } from './dom.js';

/** A row (r7) and its box on the original (b7) light up together. */
function pair(element) {
  const number = element?.closest?.('[id]')?.id.match(/^[rb](\d+)$/)?.[1];
  return number ? all(`#r${number}, #b${number}`) : [];
}

function setUpBoxes() {
  for (const kind of ['mouseover', 'focusin']) addEventListener(kind, (event) => {
    all('.hot').forEach((each) => each.classList.remove('hot'));
    pair(event.target).forEach((each) => each.classList.add('hot'));
  });
  addEventListener('click', (event) => { // a row's number shows its box; the page stays where it is
    const link = event.target.closest?.('.rows a[href^="#b"]'), box = link && $(link.hash), sheet = $('.sheet');
    if (!box || !sheet) return;
    event.preventDefault();
    sheet.scrollTop += box.getBoundingClientRect().top - sheet.getBoundingClientRect().top - sheet.clientHeight / 2;
  });
}

/** The places of flagged rows, cut from the picture of the page. */
function cutPlaces(page) {
  const space = 'http://www.w3.org/2000/svg', width = page.naturalWidth, height = page.naturalHeight;
  for (const strip of all('[data-strip]')) {
    const [left, top, right, bottom] = strip.dataset.strip.split(' ').map(Number);
    const pad = 0.004, x = Math.max(0, left - pad) * width, y = Math.max(0, top - pad) * height;
    strip.setAttribute('viewBox', `${x} ${y} ${(right - left + 2 * pad) * width} ${(bottom - top + 2 * pad) * height}`);
    const image = document.createElementNS(space, 'image');
    for (const [name, value] of Object.entries({ href: page.currentSrc, width, height })) image.setAttribute(name, value);
    strip.replaceChildren(image);
    strip.removeAttribute('hidden');
  }
}

function setUpPage() {
  const page = $('#page');
  if (!page) return;
  const shown = () => { page.width = page.naturalWidth; page.height = page.naturalHeight; cutPlaces(page); };
  const failed = () => { $('.leaf').hidden = true; $('#nopage').hidden = false; };
  if (page.complete) (page.naturalWidth ? shown : failed)();
  page.addEventListener('load', shown);
  page.addEventListener('error', failed);
}

/** The index of the last of ascending numbers that is at most `most`; -1: none is. */
function last(numbers, most) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= most) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function setUpPlayer() {
  const player = $('#au'), spoken = all('.say span[data-t]'), times = spoken.map((each) => Number(each.dataset.t));
  if (!player) return;
  let scrolledAt = 0, current = null;
  const start = () => { // a link to a place in the recording
    const place = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const at = place && (place.dataset.t ?? $('[data-t]', place)?.dataset.t);
    if (at !== undefined && at !== null && at !== false) player.currentTime = Number(at);
  };
  start();
  addEventListener('hashchange', start);
  addEventListener('wheel', () => { scrolledAt = Date.now(); }, { passive: true });
  addEventListener('click', (event) => {
    const place = event.target.closest?.('[data-t]');
    if (!place || getSelection().toString()) return;
    player.currentTime = Number(place.dataset.t);
    player.play();
  });
  $('.lanes')?.addEventListener('click', (event) => { // the bar of the recording
    const { left, width } = event.currentTarget.getBoundingClientRect();
    player.currentTime = event.currentTarget.viewBox.baseVal.width * (event.clientX - left) / width;
  });
  player.addEventListener('timeupdate', () => {
    const now = spoken[last(times, player.currentTime + 0.05)];
    $('#head')?.setAttribute('d', `M${player.currentTime} 0V24`);
    if (!now || now === current) return;
    current?.removeAttribute('aria-current');
    current = now;
    now.setAttribute('aria-current', 'true');
    if ($('#follow').checked && Date.now() - scrolledAt > 5000) now.scrollIntoView({ block: 'nearest' });
  });
}

export function setUpJob() {
  setUpBoxes();
  setUpPage();
  setUpPlayer();
}
