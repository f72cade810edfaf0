// A map of sounds that plays what was never recorded: a click anywhere makes the sound of that
// place. One module without build step or network. `mount(el, engine)` draws the instrument, and
// the engine knows the sounds: a notebook's kernel (`export default`, for anywidget) or a page that
// holds them. Places are in map coordinates: the sounds lie within 0..1 on both axes, y upwards.

const COLOURS = [
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
];
const GREY = "#999999"; // of sounds without a class
const MAGMA = [
  "#000004", "#1d1147", "#51127c", "#822681", "#b63679", "#e65164", "#fb8861", "#fec287", "#fcfdbf",
];
const THEMES = {
  light: { ground: "#ffffff", ink: "#1b1d22", sea: [118, 124, 140, 0.42] },
  dark: { ground: "#1f232b", ink: "#eceef2", sea: [0, 0, 0, 0.6] },
};
const EDGE = 0.15; // how far the shading reaches beyond the sounds
const SPAN = 1.12; // what the whole map shows of an axis
const REACH = 14; // pixels from the pointer to the sound it means
const CLICK = 4; // pixels that a pointer may move between down and up
const KEPT = 64e6; // bytes of recorded sounds that stay here
const PACE = 0.25; // seconds from one step of a path to the next
const PADS = [..."1234qwerasdfzxcv"].map((key) => (key > "9" ? `Key${key.toUpperCase()}` : `Digit${key}`));

// Sound.

const SHARED = Symbol.for("samplevae.map.sound");
const VOICES = 4;
const LEVEL = 0.7; // of one voice, so that the limiter leaves it alone
const FADE = 0.015; // seconds

// What all maps of a page play through, made by the first key or click. The limiter leaves sums up
// to LEVEL as they are and bends the rest, so that nothing ever goes beyond full scale.
function output() {
  globalThis[SHARED] ??= (() => {
    const context = new AudioContext();
    const bent = (x) => LEVEL + (1 - LEVEL) * Math.tanh((x - LEVEL) / (1 - LEVEL));
    const curve = Float32Array.from({ length: 8193 }, (_, i) => {
      const x = VOICES * (i / 4096 - 1);
      return Math.abs(x) <= LEVEL ? x : Math.sign(x) * bent(Math.abs(x));
    });
    const sum = new GainNode(context, { gain: 1 / VOICES });
    sum.connect(new WaveShaperNode(context, { curve })).connect(context.destination);
    return { context, sum, voices: [] };
  })();
  return globalThis[SHARED];
}

const peakOf = (samples) => samples.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);

// The newest starts at once; of more than four the oldest fades.
function play({ samples, rate }) {
  if (!samples.length) return;
  const { context, sum, voices } = output();
  context.resume();
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  const gain = new GainNode(context, { gain: LEVEL / Math.max(1, peakOf(samples)) });
  source.connect(gain).connect(sum);
  source.start();
  const voice = { source, gain };
  voices.push(voice);
  source.onended = () => {
    gain.disconnect();
    if (voices.includes(voice)) voices.splice(voices.indexOf(voice), 1);
  };
  while (voices.length > VOICES) fade(voices.shift());
}

function fade({ source, gain }) {
  const now = source.context.currentTime;
  gain.gain.setValueAtTime(gain.gain.value, now);
  gain.gain.linearRampToValueAtTime(0, now + FADE);
  source.stop(now + FADE);
}

const silence = () => globalThis[SHARED]?.voices.splice(0).forEach(fade);

// Sounds one after another, each PACE after the last to the sample and cut where four overlap.
function sequence(steps, rate) {
  const pace = Math.round(PACE * rate);
  const cut = (samples) => Math.min(samples.length, VOICES * pace);
  const ends = steps.map((samples, k) => k * pace + cut(samples));
  const all = new Float32Array(Math.max(...ends));
  steps.forEach((samples, k) => {
    const last = cut(samples);
    const slope = samples.length > last ? FADE * rate : 1;
    for (let i = 0; i < last; i++) all[k * pace + i] += samples[i] * Math.min(1, (last - i) / slope);
  });
  const peak = Math.max(1, peakOf(all));
  return all.map((value) => value / peak);
}

// Levels in bands, a semitone by semitone picture with long windows for low bands (constant Q,
// Brown 1991): bands × columns, in dB below the loudest, down to −70.
function spectrum(samples, rate, { bands = 48, columns = 160 } = {}) {
  const levels = new Float32Array(bands * columns);
  for (let band = 0; band < bands; band++) {
    const pitch = 40 * (Math.min(16000, 0.45 * rate) / 40) ** (band / (bands - 1));
    const size = Math.round(Math.min(2048, Math.max(128, (10 * rate) / pitch)));
    const turn = (2 * Math.PI * pitch) / rate;
    const bell = Float32Array.from({ length: size }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / size) ** 2);
    const [re, im] = [Math.cos, Math.sin].map((wave) => bell.map((high, i) => high * wave(turn * i)));
    for (let column = 0; column < columns; column++) {
      const start = Math.round(((column + 0.5) * samples.length) / columns - size / 2);
      let [a, b] = [0, 0];
      for (let i = Math.max(0, -start); i < Math.min(size, samples.length - start); i++) {
        a += samples[start + i] * re[i];
        b += samples[start + i] * im[i];
      }
      levels[band * columns + column] = Math.hypot(a, b) / size;
    }
  }
  const top = Math.max(peakOf(levels), 1e-9);
  return { bands, columns, levels: levels.map((value) => Math.max(-70, 20 * Math.log10(value / top))) };
}

// Files.

const little = (value, bytes) => Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 255);
const latin = (text) => Array.from(text, (letter) => letter.charCodeAt(0));

// 24 bits, one channel; brought down only if it is beyond full scale.
function wav({ samples, rate }) {
  const size = 3 * samples.length;
  const head = [
    ...latin("RIFF"), ...little(36 + size + (size % 2), 4), ...latin("WAVEfmt "), ...little(16, 4),
    ...little(1, 2), ...little(1, 2), ...little(rate, 4), ...little(3 * rate, 4), ...little(3, 2),
    ...little(24, 2), ...latin("data"), ...little(size, 4),
  ];
  const bytes = new Uint8Array(44 + size + (size % 2));
  bytes.set(head);
  const full = 8388607 / Math.max(1, peakOf(samples));
  samples.forEach((value, i) => bytes.set(little(Math.round(value * full), 3), 44 + 3 * i));
  return bytes;
}

const CHECKS = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});
const checksum = (bytes) => ~bytes.reduce((sum, byte) => CHECKS[(sum ^ byte) & 255] ^ (sum >>> 8), ~0);

// [name, bytes] each → a zip file that stores them as they are (PKWARE's APPNOTE, 4.3).
function zip(files) {
  const [local, central] = [[], []];
  let at = 0;
  for (const [name, bytes] of files) {
    const path = new TextEncoder().encode(name);
    const both = [
      ...little(20, 2), ...little(0x800, 2), ...little(0, 4), ...little(33, 2), // UTF-8, 1 Jan 1980
      ...little(checksum(bytes), 4), ...little(bytes.length, 4), ...little(bytes.length, 4),
      ...little(path.length, 2), 0, 0,
    ];
    local.push(Uint8Array.from([...latin("PK\x03\x04"), ...both]), path, bytes);
    central.push(
      Uint8Array.from([...latin("PK\x01\x02"), 20, 0, ...both, ...little(0, 10), ...little(at, 4)]),
      path,
    );
    at += 30 + path.length + bytes.length;
  }
  const size = central.reduce((sum, part) => sum + part.length, 0);
  const counts = [...little(files.length, 2), ...little(files.length, 2)];
  const end = [...latin("PK\x05\x06"), 0, 0, 0, 0, ...counts, ...little(size, 4), ...little(at, 4), 0, 0];
  return new Blob([...local, ...central, Uint8Array.from(end)], { type: "application/zip" });
}

// A name that every file system and sampler takes: the file's own, without folder and ending.
const safe = (name) =>
  name.split(/[\\/]/).pop().replace(/\.\w{1,4}$/, "").normalize("NFKD").replace(/[^\w-]+/g, "-")
    .replace(/^-+|-+$/g, "").slice(0, 40) || "sound"; // prettier would break this

// Geometry.

// Mulberry32: the same kit for the same region.
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

function within(line, { x, y }) {
  let odd = false;
  line.forEach((a, i) => {
    const b = line[(i + 1) % line.length];
    if (a.y > y !== b.y > y && x < a.x + ((b.x - a.x) * (y - a.y)) / (b.y - a.y)) odd = !odd;
  });
  return odd;
}

// The one of `pool` that is farthest from all of `taken`.
function farthest(pool, taken) {
  const away = pool.map((one) => Math.min(...taken.map((other) => apart(one, other))));
  return pool[away.reduce((best, value, i) => (value > away[best] ? i : best), 0)];
}

// So many places at equal distances along a line.
function along(line, count) {
  const ways = line.reduce((sums, place, i) => [...sums, i ? sums[i - 1] + apart(place, line[i - 1]) : 0], []);
  return Array.from({ length: count }, (_, k) => {
    const way = (k * ways.at(-1)) / (count - 1);
    const i = Math.max(1, ways.findIndex((sum) => sum >= way - 1e-12));
    const share = (way - ways[i - 1]) / (ways[i] - ways[i - 1] || 1);
    const [a, b] = [line[i - 1], line[i]];
    return { x: a.x + share * (b.x - a.x), y: a.y + share * (b.y - a.y) };
  });
}

// A disc's pixels around its middle: how much of each is covered, of 255, and which are its rim.
function disc(radius) {
  const pixels = [];
  const reach = Math.ceil(radius);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const far = Math.hypot(x, y);
      const cover = Math.round(255 * Math.min(1, Math.max(0, radius + 0.5 - far)));
      if (cover) pixels.push({ x, y, cover, rim: radius > 2 && far > radius * 0.72 });
    }
  }
  return pixels;
}

const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const packed = ([red, green, blue]) => (blue << 16) | (green << 8) | red; // as an image's bytes lie

// Page.

// An element. Text stays text, whatever a file's name holds.
function node(tag, { style = {}, ...rest } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.style, style);
  made.append(...children);
  return made;
}

const button = (text, onclick, rest = {}) =>
  node("button", { type: "button", textContent: text, onclick, ...rest });

const round = (value) => String(Number(value.toPrecision(2)));
const place = ({ x, y }) => `${x.toFixed(2)}, ${y.toFixed(2)}`;
const many = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

function certainty(guess) {
  const words = ["well known here", "between known sounds", "partly guessing", "guessing: far from all sounds"];
  return `guess ${guess.toFixed(2)}: ${words[Math.min(3, Math.floor(4 * guess))]}`;
}

/** Draws the instrument into `el`; what it returns takes it away again. */
export function mount(el, engine) {
  const { count, rate, points, names, labels, classes, seconds, features, regions, guess } = engine;
  const gone = new AbortController();
  const kindOf = new Map(classes.map((name, kind) => [name, kind]));
  const kinds = Int16Array.from(labels, (label) => kindOf.get(label) ?? -1);
  const all = Array.from({ length: count }, (_, i) => i);
  const spot = (i) => ({ x: points[2 * i], y: points[2 * i + 1], index: i });
  const label = (i) => names[i] + (labels[i] ? ` (${labels[i]})` : "");

  // State.

  const view = { x: 0.5, y: 0.5, zoom: 1 };
  const hidden = new Set(); // classes that the legend has switched off
  const lengths = { least: 0, most: Infinity };
  const lit = new Uint8Array(count).fill(1); // what no filter leaves out
  let tool = "make";
  let theme = THEMES.light;
  let hot = -1; // the sound under the pointer, or last played
  let mark = null; // where the last sound was made
  let cross = null; // the keyboard's crosshair
  let drag = null;
  let rested = null; // where a click was: a hand that only trembles plays no other sound
  let shown = null; // the sound in the card
  let made = [];
  let picked = [];
  let alike = [];
  let pads = [];
  let deal = 0; // the kit that is being made: an older one stops

  // Elements.

  const [shade, dots, marks] = ["sv-shade", "sv-dots", "sv-marks"].map((className) =>
    node("canvas", { className, ariaHidden: "true" }),
  );
  const tip = node("span", { className: "sv-tip", hidden: true });
  const stage = node(
    "div",
    { className: "sv-stage", tabIndex: 0, role: "application", ariaRoleDescription: "sound map" },
    shade, dots, marks, tip,
  );
  stage.ariaLabel =
    `Map of ${many(count, "sound")}. Arrow keys move a crosshair, Enter makes the sound of that ` +
    "place, Space plays the nearest recorded one, P picks, plus and minus zoom, 0 shows all, " +
    "Escape silences.";
  const status = node("output", { className: "sv-status", ariaLive: "polite" });
  const hovers = node("input", { type: "checkbox", checked: true });
  const tools = {
    make: ["Make", "A click makes the sound of that place; drag moves the map"],
    path: ["Path", "Drag a path to hear the sounds along it (or drag with Shift)"],
    kit: ["Kit", "Draw around a region to get a kit of 16 pads from it"],
    pick: ["Pick", "Click sounds or places to mix them"],
  };
  const toolButtons = Object.entries(tools).map(([name, [text, title]]) =>
    button(text, () => choose(name), { title, value: name }),
  );
  const legend = node("div", { className: "sv-legend", role: "group", ariaLabel: "classes" });
  const colouring = node("select", { ariaLabel: "colour by" });
  const how = [
    "Click anywhere: where no sound is you hear one that was never recorded.",
    "Move over the dots to hear the recorded sounds.",
    "Drag moves the map, the wheel zooms once the map was clicked.",
    "Drag with Shift for a path; Kit draws around a region; Pick mixes; a file dropped here finds its like.",
    "By keyboard: arrows, Enter, Space, P, + and −.",
  ];
  const [card, picks, likes, list, kit] = ["made", "picked", "like", "past", "kit"].map((name) =>
    node("section", { className: `sv-${name}`, hidden: true }),
  );
  const dealing = node(
    "select",
    { ariaLabel: "what the kit holds" },
    node("option", { value: "spread", textContent: "16 spread out" }),
    node("option", { value: "class", textContent: "one of each class", disabled: !classes.length }),
  );
  const file = node("input", { type: "file", accept: "audio/*", hidden: true });
  const root = node(
    "div",
    { className: "sv-map" },
    node("header", {}, node("b", { textContent: engine.title }), ` ${many(count, "sound")}`),
    node(
      "div",
      { className: "sv-tools", role: "group", ariaLabel: "tools" },
      ...toolButtons,
      node("label", {}, hovers, " hover plays"),
      button("−", () => zoom(1 / 1.5), { ariaLabel: "zoom out" }),
      button("+", () => zoom(1.5), { ariaLabel: "zoom in" }),
      button("whole map", () => zoom(0)),
      button("kit of this view", () => startKit(frame())),
      button("like a file …", () => file.click(), { title: "Or drop a sound file on the map" }),
      button("silence", silence),
      file,
    ),
    node(
      "div",
      { className: "sv-desk" },
      node("div", { className: "sv-left" }, stage, status, legend, filters()),
      node("div", { className: "sv-right" }, card, picks, likes, list),
    ),
    kit,
  );
  root.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the keys for its own

  function filters() {
    const [least, most] = count ? [Math.min, Math.max].map((end) => seconds.reduce((a, b) => end(a, b))) : [0, 0];
    const limit = (key, placeholder, none) =>
      node("input", {
        type: "number", min: 0, step: "any", placeholder: round(placeholder), ariaLabel: `${key} seconds`,
        oninput: (event) => {
          lengths[key] = event.target.value === "" ? none : Number(event.target.value);
          sift();
        },
      });
    return node(
      "div",
      { className: "sv-filters" },
      node("label", {}, "Colour ", colouring),
      node("span", {}, "Length ", limit("least", least, 0), " to ", limit("most", most, Infinity), " s"),
    );
  }

  const say = (text) => void (status.textContent = text);
  // What goes wrong is said, and nothing else stops.
  const attempt = (work) => work.catch((error) => say(`${error.message}`));

  // Sounds that were played stay here, the newest KEPT bytes of them.
  const cache = new Map();
  function recorded(i) {
    const known = cache.get(i) ?? { bytes: 0, sound: engine.sound(i) };
    cache.delete(i);
    cache.set(i, known);
    known.sound.then(
      ({ samples }) => {
        known.bytes = samples.byteLength;
        let sum = [...cache.values()].reduce((bytes, one) => bytes + one.bytes, 0);
        for (const [old, { bytes }] of cache) {
          if (sum <= KEPT || old === i) break;
          cache.delete(old);
          sum -= bytes;
        }
      },
      () => cache.delete(i),
    );
    return known.sound;
  }

  // While one sound is on its way only the newest wish is kept: a fast hand asks for few.
  let wish = -1;
  let fetching = false;
  async function scrub(i) {
    wish = i;
    if (fetching) return;
    fetching = true;
    try {
      while (wish >= 0) {
        const now = wish;
        wish = -1;
        const sound = await recorded(now);
        if (wish < 0) play(sound);
      }
    } finally {
      fetching = false;
    }
  }

  function audition(i) {
    hot = i;
    paintMarks();
    say(`${label(i)}, ${round(seconds[i])} s`);
    attempt(scrub(i));
  }

  // Places.

  const size = { width: 1, height: 1 };
  const scale = () => ({ x: (size.width * view.zoom) / SPAN, y: (size.height * view.zoom) / SPAN });
  const onScreen = ({ x, y }) => ({
    x: (x - view.x) * scale().x + size.width / 2,
    y: size.height / 2 - (y - view.y) * scale().y,
  });
  const onMap = ({ x, y }) => ({
    x: (x - size.width / 2) / scale().x + view.x,
    y: (size.height / 2 - y) / scale().y + view.y,
  });
  const frame = () => {
    const [a, b] = [onMap({ x: 0, y: size.height }), onMap({ x: size.width, y: 0 })];
    return [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }];
  };
  const guessAt = (at) => {
    const cell = (value, cells) =>
      Math.min(cells - 1, Math.max(0, Math.floor(((value + EDGE) / (1 + 2 * EDGE)) * cells)));
    return guess.values[cell(at.y, guess.height) * guess.width + cell(at.x, guess.width)] / 255;
  };

  // The lit sound nearest to a place as it is seen, or −1 beyond so many pixels. A look at each of
  // 100,000 takes less than a millisecond: no index is worth its code.
  function nearest(at, reach = Infinity) {
    const { x: across, y: up } = scale();
    let [best, least] = [-1, reach * reach];
    for (let i = 0; i < count; i++) {
      const x = (points[2 * i] - at.x) * across;
      const y = (points[2 * i + 1] - at.y) * up;
      const far = x * x + y * y;
      if (far < least && lit[i]) [best, least] = [i, far];
    }
    return best;
  }

  // Within the shading, beyond which there is nothing to see.
  function move(x, y) {
    const room = 0.5 + EDGE - SPAN / 2 / view.zoom;
    [view.x, view.y] = [x, y].map((value) => Math.min(0.5 + room, Math.max(0.5 - room, value)));
    paint();
  }

  // By a factor around a place on the screen that stays where it is; 0 shows the whole map.
  function zoom(factor, at = { x: size.width / 2, y: size.height / 2 }) {
    const before = onMap(at);
    view.zoom = factor ? Math.min(400, Math.max(1, view.zoom * factor)) : 1;
    if (view.zoom === 1) return move(0.5, 0.5);
    const after = onMap(at);
    move(view.x + before.x - after.x, view.y + before.y - after.y);
  }

  // Drawing.

  const tints = (by) => (by === "class" ? [...classes.map((_, kind) => COLOURS[kind % 8]), GREY] : MAGMA.slice(1, 8));
  const seen = (hex) => (theme === THEMES.dark && hex === "#000000" ? "#ffffff" : hex);
  const tone = new Uint8Array(count);
  const mixed = Uint32Array.from(all); // drawn in no order, so that no class hides the others
  const dice = chance(1);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(dice() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  let order = mixed; // those left out first, below the others
  let dim = 0; // how many these are

  function colour() {
    const by = colouring.value;
    const steps = tints(by).length;
    for (let i = 0; i < count; i++) {
      tone[i] = by !== "class" ? Math.min(steps - 1, Math.floor(features[by][i] * steps))
        : kinds[i] < 0 ? steps - 1 : kinds[i]; // prettier-ignore
    }
    key();
    paint();
  }

  function sift() {
    dim = 0;
    for (let i = 0; i < count; i++) {
      const within = seconds[i] >= lengths.least && seconds[i] <= lengths.most;
      lit[i] = within && !hidden.has(kinds[i]) ? 1 : 0;
      dim += 1 - lit[i];
    }
    order = dim ? Uint32Array.from([...mixed.filter((i) => !lit[i]), ...mixed.filter((i) => lit[i])]) : mixed;
    say(dim ? `${many(count - dim, "sound")} of ${count.toLocaleString("en")} are left` : "");
    paint();
  }

  let picture = null; // the pixels of all points
  let waiting = 0;
  function paint() {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      if (!picture) return; // not in sight yet
      paintDots();
      paintMarks();
    });
  }

  // Pixel by pixel and without a graphics card: 100,000 points take some 6 ms, in any browser.
  function paintDots() {
    const { width, height } = dots;
    const dense = devicePixelRatio;
    const radius = dense * Math.min(5, Math.min(4, Math.max(1.2, 0.3 * Math.sqrt((size.width * size.height) / count))) * view.zoom ** 0.2);
    const shape = disc(radius);
    const [offsets, covers, rims] = [
      shape.map(({ x, y }) => y * width + x), shape.map(({ cover }) => cover), shape.map(({ rim }) => Number(rim)),
    ];
    const inks = tints(colouring.value).flatMap((hex) => {
      const whole = channels(seen(hex));
      return [packed(whole), packed(whole.map((value) => value * 0.7))];
    });
    const pixels = new Uint32Array(picture.data.buffer).fill(0);
    const margin = Math.ceil(radius);
    const across = dense * scale().x;
    const up = dense * scale().y;
    const left = width / 2 - view.x * across;
    const bottom = height / 2 + view.y * up;
    for (let n = 0; n < count; n++) {
      const i = order[n];
      const x = Math.round(left + across * points[2 * i]);
      const y = Math.round(bottom - up * points[2 * i + 1]);
      if (x < margin || y < margin || x >= width - margin || y >= height - margin) continue;
      const middle = y * width + x;
      const strength = n < dim ? 0.3 : 1;
      for (let j = 0; j < offsets.length; j++) {
        const ink = n < dim ? 0x999999 : inks[2 * tone[i] + rims[j]];
        const cover = covers[j] * strength;
        const under = pixels[middle + offsets[j]];
        const alpha = under >>> 24;
        let mix = ink;
        if (alpha && cover < 255) {
          // Red and blue at once, then green: each moves towards the ink by its share.
          const pair = (under & 0xff00ff) + (Math.imul((ink & 0xff00ff) - (under & 0xff00ff), cover) >> 8);
          const green = (under & 0xff00) + (Math.imul((ink & 0xff00) - (under & 0xff00), cover) >> 8);
          mix = (pair & 0xff00ff) | (green & 0xff00);
        }
        pixels[middle + offsets[j]] = mix | (Math.max(alpha, cover) << 24);
      }
    }
    dots.getContext("2d").putImageData(picture, 0, 0);
    const from = onScreen({ x: -EDGE, y: 1 + EDGE });
    const grown = [across / dense / guess.width, up / dense / guess.height].map((one) => one * (1 + 2 * EDGE));
    shade.style.transform = `translate(${from.x}px, ${from.y}px) scale(${grown})`;
  }

  function paintShade() {
    const [red, green, blue, most] = theme.sea;
    [shade.width, shade.height] = [guess.width, guess.height];
    const image = new ImageData(guess.width, guess.height);
    guess.values.forEach((value, i) => {
      const row = guess.height - 1 - Math.floor(i / guess.width); // its rows go upwards
      image.data.set([red, green, blue, most * value], 4 * (row * guess.width + (i % guess.width)));
    });
    shade.getContext("2d").putImageData(image, 0, 0);
  }

  function paintMarks() {
    const pen = marks.getContext("2d");
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, size.width, size.height);
    pen.lineJoin = pen.lineCap = "round";
    // Every line twice: it has to be seen on dots of any colour.
    const line = (trace, width = 2) => {
      for (const [extra, ink] of [[2.5, theme.ground], [0, theme.ink]]) {
        pen.beginPath();
        trace();
        [pen.lineWidth, pen.strokeStyle] = [width + extra, ink];
        pen.stroke();
      }
    };
    const ring = (at, radius, width) =>
      line(() => pen.arc(onScreen(at).x, onScreen(at).y, radius, 0, 7), width);
    const through = (places) =>
      places.map(onScreen).forEach(({ x, y }, i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    const written = (text, x, y) => {
      [pen.lineWidth, pen.strokeStyle, pen.fillStyle] = [4, theme.ground, theme.ink];
      pen.strokeText(text, x, y);
      pen.fillText(text, x, y);
    };
    paintNames(pen, written);
    alike.forEach(({ index }) => ring(spot(index), 8, 1.5));
    for (const { index } of shown?.x === undefined ? [] : shown.nearest) {
      line(() => through([shown, spot(index)]), 0.75);
    }
    if (shown?.line) line(() => through(shown.line));
    if (drag?.line) line(() => through(drag.line), 1.5);
    if (pads.length) line(() => through([...pads.region, pads.region[0]]), 1);
    pads.forEach((pad) => ring(pad, 3, 1.5));
    picked.forEach((pick, i) => {
      ring(pick, 9, 2);
      written(String(i + 1), onScreen(pick).x + 12, onScreen(pick).y - 6);
    });
    if (hot >= 0) ring(spot(hot), 7, 2);
    if (mark) {
      const { x, y } = onScreen(mark);
      line(() => pen.arc(x, y, 6, 0, 7), 3);
      pen.fillStyle = COLOURS[1];
      pen.fill();
    }
    if (cross) {
      const { x, y } = onScreen(cross);
      line(() => [[0, 1], [1, 0]].forEach(([a, b]) => [-1, 1].forEach((way) => {
        pen.moveTo(x + way * a * 4, y + way * b * 4);
        pen.lineTo(x + way * a * 14, y + way * b * 14);
      })));
    }
  }

  // Names of regions, each where it is in sight and meets no other.
  function paintNames(pen, written) {
    pen.font = "600 12px system-ui, sans-serif";
    [pen.textAlign, pen.textBaseline] = ["center", "middle"];
    const taken = [];
    for (const region of regions) {
      const at = onScreen(region);
      if (at.x < 0 || at.y < 0 || at.x > size.width || at.y > size.height) continue;
      const half = pen.measureText(region.name).width / 2 + 4;
      const x = Math.min(size.width - half, Math.max(half, at.x));
      const y = Math.min(size.height - 10, Math.max(10, at.y));
      const meets = taken.some((t) => Math.abs(t.x - x) < t.half + half && Math.abs(t.y - y) < 18);
      if (meets || 2 * half > size.width) continue;
      taken.push({ x, y, half });
      written(region.name, x, y);
    }
  }

  function fit() {
    const box = stage.getBoundingClientRect();
    if (!box.width || !box.height) return; // not in sight yet
    Object.assign(size, { width: stage.clientWidth, height: stage.clientHeight });
    for (const canvas of [dots, marks]) {
      canvas.width = Math.round(size.width * devicePixelRatio);
      canvas.height = Math.round(size.height * devicePixelRatio);
    }
    picture = new ImageData(dots.width, dots.height);
    dress();
    paint();
  }

  // Dark where the page's text is light.
  function dress() {
    const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    pen.fillStyle = getComputedStyle(el).color;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
    theme = 0.3 * red + 0.59 * green + 0.11 * blue > 140 ? THEMES.dark : THEMES.light;
    root.classList.toggle("sv-dark", theme === THEMES.dark);
    paintShade();
    key();
  }

  // What the colours mean; a class is switched off and on here.
  function key() {
    const by = colouring.value;
    const swatch = (hex) => node("i", { style: { background: seen(hex) } });
    const sea = node("span", {}, node("i", { className: "sv-sea" }), "guessing");
    if (by !== "class") {
      legend.replaceChildren(node("span", {}, `not ${by} `, ...tints(by).map(swatch), ` ${by}`), sea);
      return;
    }
    const counts = [...classes, ""].map(() => 0);
    kinds.forEach((kind) => counts[kind < 0 ? classes.length : kind]++);
    const entry = (amount, place) => {
      const kind = place < classes.length ? place : -1;
      const flip = () => {
        if (!hidden.delete(kind)) hidden.add(kind);
        own.ariaPressed = String(!hidden.has(kind));
        sift();
      };
      const own = button("", flip, { ariaPressed: String(!hidden.has(kind)) });
      own.append(swatch(tints(by)[place]), `${classes[place] ?? "no class"} ${amount.toLocaleString("en")}`);
      return amount ? [own] : [];
    };
    legend.replaceChildren(...counts.flatMap(entry), sea);
  }

  // What is made, and the card that shows it.

  // A name that does something; of a long path the end stays in sight.
  const link = (text, act, rest = {}) => {
    const own = button("", act, { className: "sv-name", title: text, ...rest });
    own.append(node("bdi", { textContent: text }));
    return own;
  };
  const rows = (heading, ...lines) => [node("h4", { textContent: heading }), node("ul", {}, ...lines)];
  // A recorded sound in a list: its name plays it, + picks it.
  const row = (i, text = "") =>
    node(
      "li",
      {},
      link(names[i], () => audition(i), { title: label(i) }),
      node("small", { textContent: text }),
      button("+", () => pick({ ...spot(i), weight: 1 }), { ariaLabel: `pick ${names[i]}` }),
    );
  const keep = (blob, name) => {
    const link = node("a", { href: URL.createObjectURL(blob), download: name, hidden: true });
    root.append(link); // a notebook may watch for it
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`saved as ${name}`);
  };
  const keepWav = (sound, name) => keep(new Blob([wav(sound)], { type: "audio/wav" }), `${safe(name)}.wav`);
  const wavButton = (sound, name) => button("WAV", () => keepWav(sound, name), { ariaLabel: `save ${name} as WAV` });

  // Waits for a sound, plays it and puts it into the card.
  async function present(title, work, more = {}) {
    say(`${title} …`);
    const sound = { nearest: [], ...(await work), ...more, title };
    play(sound);
    made = [sound, ...made].slice(0, 20);
    show(sound);
    say(`${title}${sound.guess === undefined ? "" : `, ${certainty(sound.guess)}`}`);
  }

  function create(at, again = 0) {
    [mark, rested] = [at, onScreen(at)];
    paintMarks();
    const title = `made at ${place(at)}${again ? `, variation ${again}` : ""}`;
    return attempt(present(title, engine.make(at.x, at.y, again), { ...at, again }));
  }

  function show(sound) {
    shown = sound;
    mark = sound.x === undefined ? null : sound;
    const canvas = node("canvas", { role: "img", ariaLabel: "waveform and spectrum of what was made" });
    const { nearest: around, lender } = sound;
    const borrowed = node("p", { className: "sv-lender" }, "Fine detail borrowed from ");
    if (lender !== undefined) borrowed.append(link(names[lender], () => audition(lender)));
    card.replaceChildren(
      node("h4", { textContent: sound.title }),
      canvas,
      node("p", { textContent: sound.guess === undefined ? "" : certainty(sound.guess) }),
      lender === undefined ? "" : borrowed,
      node(
        "div",
        { className: "sv-acts" },
        button("▶ play", () => play(sound)),
        button("again", () => create(sound, sound.again + 1), { hidden: sound.again === undefined, title: "a variation" }),
        button("+ pick", () => pick({ x: sound.x, y: sound.y, weight: 1 }), { hidden: sound.x === undefined }),
        button("find similar", () => find(sound, sound.title)),
        wavButton(sound, sound.title),
      ),
      ...(around.length ? rows("Nearest recorded sounds", ...around.map(({ index, distance, weight }) =>
        row(index, `${round(distance)} away${weight ? ` · ${Math.round(100 * weight)} %` : ""}`))) : []),
    );
    list.replaceChildren(...rows("Made so far", ...made.map((one) => node(
      "li",
      {},
      link(one.title, () => (play(one), show(one)), { ariaCurrent: String(one === sound) }),
      wavButton(one, one.title),
    ))));
    card.hidden = list.hidden = false;
    draw(canvas, sound);
    paintMarks();
  }

  // The waveform's outline over its spectrum.
  function draw(canvas, { samples, rate: own }) {
    const [width, wave, tall] = [canvas.width = 320, 44, 96];
    canvas.height = wave + tall;
    const pen = canvas.getContext("2d");
    pen.fillStyle = theme.ink;
    const top = Math.max(peakOf(samples), 1e-9);
    for (let x = 0; x < width; x++) {
      const part = samples.subarray((x * samples.length) / width, ((x + 1) * samples.length) / width + 1);
      const high = Math.max(0.5, (peakOf(part) / top) * (wave / 2 - 2));
      pen.fillRect(x, wave / 2 - high, 1, 2 * high);
    }
    const { bands, columns, levels } = spectrum(samples, own);
    const image = new ImageData(columns, bands);
    const steps = MAGMA.map(channels);
    levels.forEach((level, i) => {
      const shade = (level / 70 + 1) * (steps.length - 1);
      const [low, high] = [steps[Math.floor(shade)], steps[Math.ceil(shade)]];
      const mixed = low.map((value, c) => value + (shade % 1) * (high[c] - value));
      const at = (bands - 1 - Math.floor(i / columns)) * columns + (i % columns);
      image.data.set([...mixed, 255], 4 * at);
    });
    const small = new OffscreenCanvas(columns, bands);
    small.getContext("2d").putImageData(image, 0, 0);
    pen.drawImage(small, 0, wave, width, tall);
  }

  // Steps along a line, made one after the other and heard as one sound.
  async function morph(line) {
    const long = line.map(onScreen).reduce((sum, at, i, all) => sum + (i ? apart(at, all[i - 1]) : 0), 0);
    const steps = [];
    const places = along(line, Math.min(16, Math.max(8, Math.round(long / 40))));
    for (const [i, at] of places.entries()) {
      say(`path: step ${i + 1} of ${places.length} …`);
      steps.push(await engine.make(at.x, at.y, 0));
    }
    const sound = { samples: sequence(steps.map(({ samples }) => samples), rate), rate };
    await present(`path of ${places.length} steps from ${place(line[0])} to ${place(line.at(-1))}`, sound, { line });
  }

  // Picks: sounds and places with weights.

  function pick(one) {
    const same = picked.find((other) => apart(one, other) === 0);
    picked = same ? picked.filter((other) => other !== same) : [...picked, { weight: 1, ...one }];
    weigh(() => 1 / picked.length);
    say(`${picked.length} picked`);
  }

  function weigh(rule) {
    picked.forEach((one, i) => (one.weight = rule(i)));
    showPicks();
  }

  const title = (one) => (one.index === undefined ? `the place ${place(one)}` : names[one.index]);

  function mix() {
    const terms = picked.map(({ index, x, y, weight }) => (index === undefined ? { x, y, weight } : { index, weight }));
    const text = picked.map((one) => `${round(one.weight)} × ${title(one)}`).join(" + ");
    return attempt(present(`mix: ${text}`, engine.combine(terms)));
  }

  function showPicks() {
    const rest = picked.length - 1;
    const rule = (text, hint, weight) => button(text, () => (weigh(weight), mix()), { title: hint, disabled: rest < 1 });
    const lines = picked.map((one, i) => {
      const amount = node("output", { textContent: round(one.weight) });
      const slider = node("input", {
        type: "range", min: -2, max: 2, step: 0.05, value: one.weight, ariaLabel: `weight of ${title(one)}`,
        oninput: () => (amount.textContent = round((one.weight = Number(slider.value)))),
        onchange: mix,
      });
      const sound = () => (one.index === undefined ? engine.make(one.x, one.y, 0) : recorded(one.index));
      return node(
        "li",
        {},
        `${i + 1} `,
        link(title(one), () => (one.index === undefined ? create(one) : audition(one.index))),
        slider,
        amount,
        button("similar", () => attempt(sound().then((it) => find(it, title(one)))), { ariaLabel: `find similar to ${title(one)}` }),
        button("WAV", () => attempt(sound().then((it) => keepWav(it, title(one)))), { ariaLabel: `save ${title(one)} as WAV` }),
        button("×", () => pick(one), { ariaLabel: `remove ${title(one)}` }),
      );
    });
    picks.hidden = !picked.length;
    picks.replaceChildren(
      ...rows("Picked", ...lines),
      node(
        "div",
        { className: "sv-acts" },
        button("mix", mix),
        rule("average", "equal shares", () => 1 / (rest + 1)),
        rule("subtract", "the first without what the others have", (i) => (i ? -1 / rest : 1)),
        rule("extrapolate", "beyond the first, away from the others", (i) => (i ? -0.5 / rest : 1.5)),
        button("morph", () => attempt(morph(picked)), { title: "a path through them", disabled: rest < 1 }),
        button("clear", () => ((picked = []), showPicks())),
      ),
    );
    paintMarks();
  }

  // Sounds like another.

  async function seek({ samples, rate: own }, name) {
    say(`looking for sounds like ${name} …`);
    alike = await engine.similar(samples, own, 12);
    likes.hidden = false;
    likes.replaceChildren(
      ...rows(`Like ${name}`, ...alike.map(({ index, distance }) => row(index, round(distance)))),
      button("clear", () => ((alike = []), (likes.hidden = true), paintMarks())),
    );
    say(`${many(alike.length, "sound")} like ${name}: the nearest is ${names[alike[0].index]}`);
    paintMarks();
  }
  const find = (sound, name) => attempt(seek(sound, name));

  async function read(dropped) {
    const decoder = new OfflineAudioContext(1, 1, rate); // it also brings the file to our rate
    const heard = await decoder.decodeAudioData(await dropped.arrayBuffer()).catch(() => {
      throw Error(`${dropped.name} is no sound file that this browser can read`);
    });
    const parts = Array.from({ length: heard.numberOfChannels }, (_, c) => heard.getChannelData(c));
    const samples = parts[0].map((_, i) => parts.reduce((sum, part) => sum + part[i], 0) / parts.length);
    await seek({ samples, rate }, dropped.name);
  }

  // The kit.

  // Half of it recorded sounds of the region, half made at places between them, each far from all
  // others; where guessing can be avoided it is.
  function pool(region) {
    const dice = chance(region.length);
    const inside = all.filter((i) => lit[i] && within(region, spot(i)));
    const few = inside.length > 3000 ? inside.filter(() => dice() < 3000 / inside.length) : inside;
    const box = ["x", "y"].map((axis) => [Math.min, Math.max].map((end) => end(...region.map((at) => at[axis]))));
    const anywhere = () => box.map(([low, high]) => low + dice() * (high - low));
    const places = Array.from({ length: 2000 }, anywhere).map(([x, y]) => ({ x, y })).filter((at) => within(region, at));
    const known = places.filter((at) => guessAt(at) < 0.5);
    return { sounds: few.map(spot), places: (known.length < 32 ? places : known).slice(0, 500) };
  }

  const startKit = (region) => attempt(dealKit(region));
  async function dealKit(region) {
    const { sounds, places } = pool(region);
    if (!sounds.length && !places.length) throw Error("That region is too small for a kit: draw around a larger one.");
    const own = ++deal;
    const taken = [];
    // Where there is no sound, or no place, the other takes its turn.
    const next = (wanted) => {
      const free = wanted.filter((one) => !taken.includes(one));
      const from = free.length ? free : places.length ? places : sounds;
      const one = taken.length ? farthest(from, taken) : from[0];
      taken.push(one);
      return { ...one };
    };
    const groups = dealing.value === "class"
      ? classes.map((_, kind) => sounds.filter(({ index }) => kinds[index] === kind)).filter((group) => group.length).slice(0, 16)
      : PADS.map((_, i) => (i % 2 ? places : sounds)); // prettier-ignore
    pads = Object.assign(groups.map((group) => ({ group, ...next(group) })), { region, next });
    for (const [i, pad] of pads.entries()) {
      await fill(pad);
      if (own !== deal) return;
      say(`kit: ${i + 1} of ${pads.length} …`);
    }
    say(`a kit of ${pads.length}: play it with the keys on its pads`);
    kit.scrollIntoView?.({ block: "nearest" });
  }

  async function fill(pad) {
    showKit();
    const recordedHere = pad.index !== undefined;
    Object.assign(pad, recordedHere ? await recorded(pad.index) : await engine.make(pad.x, pad.y, 0));
    const base = safe(names[recordedHere ? pad.index : pad.lender]);
    const kind = recordedHere && labels[pad.index] && safe(labels[pad.index]);
    pad.title = recordedHere ? (kind && !base.startsWith(kind) ? `${kind}-${base}` : base) : `made-of-${base}`;
    showKit();
  }

  function exchange(pad) {
    delete pad.samples;
    delete pad.index;
    attempt(fill(Object.assign(pad, pads.next(pad.group))));
  }

  function showKit() {
    kit.hidden = !pads.length;
    const cells = pads.map((pad, i) => node(
      "div",
      {},
      button("", () => play(pad), { className: "sv-pad", disabled: !pad.samples }),
      button("↻", () => exchange(pad), { ariaLabel: `another sound for pad ${i + 1}`, title: "another" }),
    ));
    cells.forEach(({ firstChild }, i) => {
      const { title = "…", index } = pads[i];
      firstChild.append(node("kbd", { textContent: PADS[i].at(-1) }), node("span", { textContent: title }));
      if (index === undefined) firstChild.classList.add("sv-new");
    });
    const full = pads.every(({ samples }) => samples);
    kit.replaceChildren(
      node("h4", { textContent: "Kit" }),
      node("div", { className: "sv-acts" }, dealing, button("save kit (.zip)", keepKit, { disabled: !full }),
        button("close", () => ((pads = []), deal++, showKit(), paintMarks()))),
      node("div", { className: "sv-pads" }, ...cells),
    );
    paintMarks();
  }

  // WAVs, an SFZ instrument with a key each from 36 (C1) on, and a sample map for Strudel.
  function keepKit() {
    const files = pads.map((pad, i) => `${String(i + 1).padStart(2, "0")}-${pad.title}.wav`);
    const sfz = ["<group> loop_mode=one_shot", ...files.map((name, i) => `<region> sample=${name} key=${36 + i}`), ""];
    const text = (content) => new TextEncoder().encode(content);
    keep(zip([
      ...pads.map((pad, i) => [files[i], wav(pad)]),
      ["kit.sfz", text(sfz.join("\r\n"))],
      ["strudel.json", text(JSON.stringify({ _base: "", kit: files }, null, 1))],
    ]), "kit.zip");
  }

  // What a person does.

  function choose(name) {
    tool = name;
    toolButtons.forEach((one) => (one.ariaPressed = String(one.value === name)));
    stage.dataset.tool = name;
    say(tools[name][1]);
  }

  const under = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left - stage.clientLeft, y: event.clientY - box.top - stage.clientTop };
  };

  function hover(at) {
    const i = nearest(onMap(at), REACH);
    tip.hidden = i < 0;
    if (i >= 0) {
      tip.textContent = label(i);
      const { x, y } = onScreen(spot(i));
      const right = x > size.width / 2;
      Object.assign(tip.style, {
        top: `${Math.min(size.height - 30, y + 12)}px`,
        left: right ? "auto" : `${x + 8}px`, right: right ? `${size.width - x + 8}px` : "auto",
      });
    }
    if (rested && apart(rested, at) > REACH) rested = null;
    if (i === hot) return;
    hot = i;
    paintMarks();
    if (i >= 0 && hovers.checked && globalThis[SHARED] && !rested) attempt(scrub(i));
  }

  const fingers = new Map();
  const pinch = () => {
    const [a, b] = fingers.values();
    return { wide: apart(a, b), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };

  stage.onpointerdown = (event) => {
    if (event.button) return;
    const at = under(event);
    fingers.set(event.pointerId, at);
    stage.setPointerCapture(event.pointerId);
    const drawing = event.shiftKey || tool === "path" ? "path" : tool === "kit" ? "kit" : "";
    drag = fingers.size > 1 ? null : { at, last: at, drawing, moved: false, line: drawing && [onMap(at)] };
    cross = null;
  };
  stage.onpointermove = (event) => {
    const at = under(event);
    if (fingers.size > 1) {
      const before = pinch();
      fingers.set(event.pointerId, at);
      const after = pinch();
      move(view.x - (after.x - before.x) / scale().x, view.y + (after.y - before.y) / scale().y);
      zoom(after.wide / before.wide, after);
    } else if (!drag) {
      hover(at);
    } else if (drag.moved || apart(at, drag.at) > CLICK) {
      drag.moved = tip.hidden = true;
      if (drag.drawing) drag.line.push(onMap(at));
      else move(view.x - (at.x - drag.last.x) / scale().x, view.y + (at.y - drag.last.y) / scale().y);
      drag.last = at;
      paintMarks();
    }
  };
  stage.onpointerup = (event) => {
    fingers.delete(event.pointerId);
    const done = drag;
    drag = null;
    if (!done) return;
    const at = onMap(under(event));
    if (!done.moved) return tool === "pick" ? pickNear(at) : create(at);
    if (done.drawing === "path") attempt(morph(done.line));
    if (done.drawing === "kit") startKit(done.line);
    paintMarks();
  };
  stage.onpointercancel = (event) => {
    fingers.delete(event.pointerId);
    drag = null;
  };
  stage.onpointerleave = () => (tip.hidden = true);

  function pickNear(at) {
    const i = nearest(at, REACH);
    pick(i < 0 ? at : spot(i));
    if (i >= 0) audition(i);
  }

  // The page scrolls on unless the map is at hand; two fingers on a touchpad always mean the map.
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !stage.matches(":focus")) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), under(event));
  }, { passive: false });

  function step(x, y) {
    const at = onScreen(cross ?? onMap({ x: size.width / 2, y: size.height / 2 }));
    cross = onMap({ x: at.x + x, y: at.y + y });
    const now = { x: at.x + x, y: at.y + y };
    const inside = now.x > 0 && now.y > 0 && now.x < size.width && now.y < size.height;
    if (!inside) move(view.x + x / scale().x, view.y - y / scale().y);
    const i = nearest(cross);
    say(`${place(cross)}, ${certainty(guessAt(cross))}${i < 0 ? "" : `; nearest: ${label(i)}`}`);
    paintMarks();
  }

  stage.onkeydown = (event) => {
    const far = event.shiftKey ? 60 : 15;
    const here = cross ?? { x: view.x, y: view.y };
    const acts = {
      ArrowLeft: () => step(-far, 0), ArrowRight: () => step(far, 0),
      ArrowUp: () => step(0, -far), ArrowDown: () => step(0, far),
      Enter: () => create((cross = here)),
      " ": () => nearest(here) >= 0 && audition(nearest(here)),
      p: () => pickNear((cross = here)),
      "+": () => zoom(1.5, onScreen(here)), "=": () => zoom(1.5, onScreen(here)), "-": () => zoom(1 / 1.5, onScreen(here)),
      0: () => zoom(0), Escape: silence,
    };
    if (!Object.hasOwn(acts, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  };

  root.addEventListener("keydown", (event) => {
    const { code, target, ctrlKey, metaKey, altKey, repeat } = event;
    if (event.key !== "Escape") output(); // a key or a click lets a page sound
    const pad = pads[PADS.indexOf(code)];
    if (!pad?.samples || ctrlKey || metaKey || altKey || repeat || /INPUT|SELECT/.test(target.tagName)) return;
    event.preventDefault();
    event.stopPropagation();
    play(pad);
  });
  root.addEventListener("pointerup", output);
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    const [dropped] = event.dataTransfer.files;
    if (dropped) attempt(read(dropped));
  });
  file.onchange = () => {
    if (file.files.length) attempt(read(file.files[0]));
    file.value = "";
  };
  dealing.onchange = () => startKit(pads.region);

  // Start and end.

  const kindsOfColour = [...(classes.length ? ["class"] : []), ...Object.keys(features)];
  colouring.append(...kindsOfColour.map((value) => node("option", { value, textContent: value })));
  colouring.onchange = colour;
  card.replaceChildren(...rows("How to play", ...how.map((textContent) => node("li", { textContent }))));
  card.hidden = false;
  el.append(root);
  choose("make");
  say(count ? "Click anywhere on the map: also where no sound is." : "There is no sound on this map.");
  const sized = new ResizeObserver(fit);
  sized.observe(stage);
  const themed = new MutationObserver(() => (dress(), paint()));
  for (const one of [document.documentElement, document.body]) themed.observe(one, { attributes: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (dress(), paint()), { signal: gone.signal });
  colour();
  return () => {
    gone.abort();
    sized.disconnect();
    themed.disconnect();
    cancelAnimationFrame(waiting);
    silence();
    root.remove();
  };
}

// In a notebook: each question goes to the kernel under a number, and the answer comes under it.

const floats = ({ buffer, byteOffset, byteLength }) =>
  new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));

function kernel(model) {
  const open = new Map();
  const own = Math.random().toString(36).slice(2); // other views of the map hear the answers too
  let asked = 0;
  const answer = ({ id, error, ...fields }, buffers) => {
    const { resolve, reject } = open.get(id) ?? {};
    open.delete(id);
    if (error) reject?.(Error(error));
    else resolve?.(buffers.length ? { ...fields, samples: floats(buffers[0]) } : fields);
  };
  const ask = (what, given = {}, buffers = []) =>
    new Promise((resolve, reject) => {
      const id = `${own}-${asked++}`;
      open.set(id, { resolve, reject });
      model.send({ id, ask: what, ...given }, undefined, buffers);
      const late = "The kernel gives no answer: does it run, and has it nothing else to do?";
      setTimeout(() => open.delete(id) && reject(Error(late)), 30_000);
    });
  model.on("msg:custom", answer);
  const about = model.get("about");
  const values = floats(model.get("values")); // x and y of each sound, then rows of columns
  const row = (i) => values.subarray((2 + i) * about.names.length, (3 + i) * about.names.length);
  const engine = {
    ...about,
    count: about.names.length,
    points: values.subarray(0, 2 * about.names.length),
    seconds: row(0),
    features: Object.fromEntries(about.features.map((name, i) => [name, row(i + 1)])),
    guess: { ...about.guess, values: new Uint8Array(model.get("guess").buffer, model.get("guess").byteOffset) },
    sound: (index) => ask("sound", { index }),
    make: (x, y, again = 0) => ask("make", { x, y, again }),
    combine: (terms) => ask("combine", { terms }),
    similar: async (samples, rate, k) =>
      (await ask("similar", { rate, k }, [samples.slice().buffer])).found,
  };
  return { engine, close: () => model.off("msg:custom", answer) };
}

export default {
  render({ model, el }) {
    const { engine, close } = kernel(model);
    el.style.setProperty("--sv-height", `${model.get("height")}px`);
    const unmount = mount(el, engine);
    return () => {
      unmount();
      close();
    };
  },
};
