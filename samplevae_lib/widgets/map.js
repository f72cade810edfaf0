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
const KEYS = "1234qwerasdfzxcv"; // of the pads, by where they are on a keyboard
const PADS = [...KEYS].map((key) => (key > "9" ? `Key${key.toUpperCase()}` : `Digit${key}`));

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

const highest = (values) => values.reduce((top, value) => Math.max(top, Math.abs(value)), 0);

// The newest starts at once; of more than four the oldest fades.
function play({ samples, rate }) {
  if (!samples.length) return;
  const { context, sum, voices } = output();
  context.resume();
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  const gain = new GainNode(context, { gain: LEVEL / Math.max(1, highest(samples)) });
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
  const all = new Float32Array(Math.max(...steps.map((samples, k) => k * pace + cut(samples))));
  steps.forEach((samples, k) => {
    const last = cut(samples);
    const slope = samples.length > last ? FADE * rate : 1;
    for (let i = 0; i < last; i++) {
      all[k * pace + i] += samples[i] * Math.min(1, (last - i) / slope);
    }
  });
  const top = Math.max(1, highest(all));
  return all.map((value) => value / top);
}

// Levels of a sound in bands from 40 Hz up, evenly apart in pitch and with longer windows for lower
// ones (constant Q, Brown 1991): bands × columns, in dB below the loudest, down to −70.
function spectrum({ samples, rate }, bands = 48, columns = 160) {
  const levels = new Float32Array(bands * columns);
  for (let band = 0; band < bands; band++) {
    const pitch = 40 * (Math.min(16000, 0.45 * rate) / 40) ** (band / (bands - 1));
    const size = Math.round(Math.min(2048, Math.max(128, (10 * rate) / pitch)));
    const turn = (2 * Math.PI * pitch) / rate;
    const windowed = (wave) =>
      Float32Array.from({ length: size }, (_, i) =>
        Math.sin((Math.PI * (i + 0.5)) / size) ** 2 * wave(turn * i));
    const [re, im] = [windowed(Math.cos), windowed(Math.sin)];
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
  const top = Math.max(highest(levels), 1e-9);
  const decibels = levels.map((value) => Math.max(-70, 20 * Math.log10(value / top)));
  return { bands, columns, decibels };
}

// Files.

const little = (value, bytes) => Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 255);
const latin = (text) => Array.from(text, (letter) => letter.charCodeAt(0));

// 24 bits, one channel; brought down only if it is beyond full scale.
function wav({ samples, rate }) {
  const size = 3 * samples.length;
  const bytes = new Uint8Array(44 + size + (size % 2));
  bytes.set([
    ...latin("RIFF"), ...little(bytes.length - 8, 4), ...latin("WAVEfmt "), ...little(16, 4),
    ...little(1, 2), ...little(1, 2), ...little(rate, 4), ...little(3 * rate, 4), ...little(3, 2),
    ...little(24, 2), ...latin("data"), ...little(size, 4),
  ]);
  const full = 8388607 / Math.max(1, highest(samples));
  samples.forEach((value, i) => bytes.set(little(Math.round(value * full), 3), 44 + 3 * i));
  return bytes;
}

const CHECKS = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});
const checksum = (bytes) =>
  ~bytes.reduce((sum, byte) => CHECKS[(sum ^ byte) & 255] ^ (sum >>> 8), ~0);

// [name, bytes] each → a zip file that stores them as they are (PKWARE's APPNOTE, 4.3).
function zip(files) {
  const [local, central] = [[], []];
  let at = 0;
  for (const [name, bytes] of files) {
    const path = new TextEncoder().encode(name);
    const both = [
      20, 0, ...little(0x800, 2), 0, 0, 0, 0, ...little(33, 2), // names in UTF-8; 1 January 1980
      ...little(checksum(bytes), 4), ...little(bytes.length, 4), ...little(bytes.length, 4),
      ...little(path.length, 2), 0, 0,
    ];
    local.push(Uint8Array.from([...latin("PK\x03\x04"), ...both]), path, bytes);
    const head = [...latin("PK\x01\x02"), 20, 0, ...both, ...Array(10).fill(0), ...little(at, 4)];
    central.push(Uint8Array.from(head), path);
    at += 30 + path.length + bytes.length;
  }
  const size = central.reduce((sum, part) => sum + part.length, 0);
  const counts = [...little(files.length, 2), ...little(files.length, 2)];
  const end = [0, 0, 0, 0, ...counts, ...little(size, 4), ...little(at, 4), 0, 0];
  local.push(...central, Uint8Array.from([...latin("PK\x05\x06"), ...end]));
  return new Blob(local, { type: "application/zip" });
}

// A name that every file system and sampler takes: the file's own, without folder and ending.
function safe(name) {
  const own = name.split(/[\\/]/).pop().replace(/\.\w{1,4}$/, "").normalize("NFKD");
  return own.replace(/[^\w-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40) || "sound";
}

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
  const ways = [0];
  for (let i = 1; i < line.length; i++) ways.push(ways[i - 1] + apart(line[i], line[i - 1]));
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

// Puts a disc around a pixel: rim and inside in their inks, each by the share it covers.
function stamp(pixels, middle, offsets, covers, inks, first, rims) {
  for (let j = 0; j < offsets.length; j++) {
    const under = pixels[middle + offsets[j]];
    const alpha = under >>> 24;
    const cover = covers[j];
    let ink = inks[first + rims[j]];
    if (alpha && cover < 255) {
      // Red and blue at once, then green: each moves towards the ink by its share.
      const [pair, green] = [under & 0xff00ff, under & 0xff00];
      const red = (pair + (Math.imul((ink & 0xff00ff) - pair, cover) >> 8)) & 0xff00ff;
      ink = red | ((green + (Math.imul((ink & 0xff00) - green, cover) >> 8)) & 0xff00);
    }
    pixels[middle + offsets[j]] = ink | (Math.max(alpha, cover) << 24);
  }
}

// The page.

// An element. Text stays text, whatever a file's name holds.
function node(tag, { style = {}, ...rest } = {}, ...children) {
  const own = Object.assign(document.createElement(tag), rest);
  Object.assign(own.style, style);
  own.append(...children);
  return own;
}

const box = (className, ...children) => node("div", { className }, ...children);
const button = (text, onclick, rest = {}) =>
  node("button", { type: "button", textContent: text, onclick, ...rest });
// A name that does something; of a long path the end stays in sight.
const link = (text, onclick, rest = {}) =>
  node("button", { type: "button", className: "sv-name", title: text, onclick, ...rest },
    node("bdi", { textContent: text }));
const listed = (heading, lines) =>
  [node("h4", { textContent: heading }), node("ul", {}, ...lines)];
const option = (value, textContent = value, disabled = false) =>
  node("option", { value, textContent, disabled });

const round = (value) => String(Number(value.toPrecision(2)));
const written = ({ x, y }) => `${x.toFixed(2)}, ${y.toFixed(2)}`;
const many = (count) => `${count.toLocaleString("en")} sound${count === 1 ? "" : "s"}`;
const certainty = (guess) => {
  const words = ["well known here", "between known sounds", "partly guessing", "guessing"];
  return `guess ${guess.toFixed(2)}: ${words[Math.min(3, Math.floor(4 * guess))]}`;
};

const TOOLS = {
  make: ["Make", "A click makes the sound of that place; drag moves the map."],
  path: ["Path", "Drag a path to hear the sounds along it."],
  kit: ["Kit", "Draw around a region to get a kit of 16 pads from it."],
  pick: ["Pick", "Click sounds and places to mix them, or to graft one on another."],
};
const HOW = [
  "Click anywhere: where no sound is you hear one that was never recorded.",
  "Move over the dots to hear the recorded sounds.",
  "Drag moves the map; the wheel zooms once the map was clicked.",
  "Drag with Shift for a path through the sounds.",
  "Kit draws around a region, Pick mixes.",
  "Drop a sound file on the map to find what is similar.",
  "By keyboard: arrows, Enter, Space, P, + and −.",
];

// Draws the instrument into `el`; what it returns takes it away again.
export function mount(el, engine) {
  const { count, rate, points, names, labels, classes, seconds, features, regions, guess } = engine;
  const kindOf = new Map(classes.map((name, kind) => [name, kind]));
  const kinds = Int16Array.from(labels, (label) => kindOf.get(label) ?? -1);
  const all = Array.from({ length: count }, (_, i) => i);
  const spot = (i) => ({ x: points[2 * i], y: points[2 * i + 1], index: i });
  const label = (i) => names[i] + (labels[i] ? ` (${labels[i]})` : "");
  const end = new AbortController();

  // State.

  const view = { x: 0.5, y: 0.5, zoom: 1 };
  const size = { width: 1, height: 1 }; // of the map, in pixels
  const hidden = new Set(); // classes that the legend has switched off
  const lengths = { least: 0, most: Infinity };
  const lit = new Uint8Array(count).fill(1); // what no filter leaves out
  let tool = "make";
  let theme = null;
  let hot = -1; // the sound under the pointer, or played last
  let mark = null; // where the last sound was made
  let cross = null; // the keyboard's crosshair
  let drag = null;
  let rested = null; // where a click was: a hand that only trembles plays no other sound
  let shown = null; // the sound in the card
  let made = []; // the newest first
  let picked = []; // places, or sounds with an index, each with a weight
  let alike = []; // what was found to be similar
  let pads = []; // the kit
  let deal = 0; // the number of the kit: one that is still being made stops for the next

  // Elements.

  const [shade, dots, marks] = ["sv-shade", "sv-dots", "sv-marks"].map((className) =>
    node("canvas", { className, ariaHidden: "true" }));
  const tip = node("span", { className: "sv-tip", hidden: true });
  const stage = node("div", {
    className: "sv-stage", tabIndex: 0, role: "application", ariaRoleDescription: "sound map",
    ariaLabel: `Map of ${many(count)}. Arrow keys move a crosshair, Enter makes the sound there, ` +
      "Space plays the nearest recorded one, P picks, plus and minus zoom, 0 shows all, " +
      "Escape silences.",
  }, shade, dots, marks, tip);
  const status = node("output", { className: "sv-status", ariaLive: "polite" });
  const hovers = node("input", { type: "checkbox", checked: true });
  const tools = Object.entries(TOOLS).map(([value, [text, title]]) =>
    button(text, () => choose(value), { value, title }));
  const legend = node("div", { className: "sv-legend", role: "group", ariaLabel: "classes" });
  const colouring = node("select", { onchange: colour },
    ...[...(classes.length ? ["class"] : []), ...Object.keys(features)].map((key) => option(key)));
  const dealing = node("select", {
    ariaLabel: "what the kit holds", onchange: () => startKit(pads.region),
  }, option("spread", "16 spread out"), option("class", "one of each class", !classes.length));
  const file = node("input", { type: "file", accept: "audio/*", hidden: true, onchange: () => {
    attempt(read(file.files[0]));
    file.value = "";
  } });
  const [card, picks, likes, list, kit] = ["made", "picked", "like", "past", "kit"].map((name) =>
    node("section", { className: `sv-${name}`, hidden: name !== "made" },
      ...(name === "made" ? listed("How to play", HOW.map((text) => node("li", {}, text))) : [])));
  const limit = (key, reach, none) => node("input", {
    type: "number", min: 0, step: "any", ariaLabel: `${key} seconds`,
    placeholder: count ? round(seconds.reduce((a, b) => reach(a, b))) : "",
    oninput: ({ target }) => {
      lengths[key] = target.value === "" ? none : Number(target.value);
      sift();
    },
  });
  const root = box(
    "sv-map",
    node("header", {}, node("b", { textContent: engine.title }), many(count)),
    box(
      "sv-tools", ...tools, node("label", {}, hovers, " hover plays"),
      button("−", () => zoom(1 / 1.5), { ariaLabel: "zoom out" }),
      button("+", () => zoom(1.5), { ariaLabel: "zoom in" }),
      button("whole map", () => zoom(0)),
      button("kit of this view", () => startKit(frame())),
      button("similar to a file …", () => file.click()), file,
      button("silence", silence),
    ),
    box(
      "sv-desk",
      box("sv-left", stage, status, legend, box(
        "sv-filters", node("label", {}, "Colour ", colouring),
        node("span", {}, "Length ", limit("least", Math.min, 0), " to ",
          limit("most", Math.max, Infinity), " s"),
      )),
      box("sv-right", card, picks, likes, list),
    ),
    kit,
  );
  root.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the keys for its own

  const say = (text) => void (status.textContent = text);
  // What goes wrong is said, and nothing else stops.
  const attempt = (work) => work.catch((error) => say(error.message));

  // Recorded sounds that were asked for stay here, the newest KEPT bytes of them.
  const cache = new Map();
  function recorded(i) {
    const sound = cache.get(i) ?? engine.sound(i);
    sound.catch(() => cache.delete(i));
    cache.delete(i);
    cache.set(i, sound);
    let bytes = 0;
    for (const old of [...cache.keys()].reverse()) {
      bytes += 4 * rate * seconds[old];
      if (bytes > KEPT && old !== i) cache.delete(old);
    }
    return sound;
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

  const scale = () => ({ x: (size.width * view.zoom) / SPAN, y: (size.height * view.zoom) / SPAN });
  const centre = () => ({ x: size.width / 2, y: size.height / 2 });
  const onScreen = ({ x, y }) => ({
    x: centre().x + (x - view.x) * scale().x, y: centre().y - (y - view.y) * scale().y,
  });
  const onMap = ({ x, y }) => ({
    x: view.x + (x - centre().x) / scale().x, y: view.y - (y - centre().y) / scale().y,
  });
  const frame = () => {
    const half = SPAN / 2 / view.zoom;
    return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([a, b]) =>
      ({ x: view.x + a * half, y: view.y + b * half }));
  };
  const guessAt = (at) => {
    const cell = (value, cells) => Math.floor(((value + EDGE) / (1 + 2 * EDGE)) * cells);
    const [column, row] = [cell(at.x, guess.width), cell(at.y, guess.height)];
    return (guess.values[row * guess.width + column] ?? 255) / 255;
  };

  // The lit sound nearest to a place as it is seen, or −1 beyond so many pixels. To look at 100,000
  // takes less than a millisecond: no index is worth its code.
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

  // By pixels.
  const shift = (x, y) => move(view.x - x / scale().x, view.y + y / scale().y);

  // By a factor around a place on the screen that stays where it is; 0 shows the whole map.
  function zoom(factor, at = centre()) {
    const before = onMap(at);
    view.zoom = Math.min(400, Math.max(1, view.zoom * factor));
    if (view.zoom === 1) return move(0.5, 0.5);
    const after = onMap(at);
    move(view.x + before.x - after.x, view.y + before.y - after.y);
  }

  // Colours.

  const tints = () => colouring.value === "class"
    ? [...classes.map((_, kind) => COLOURS[kind % COLOURS.length]), GREY] : MAGMA.slice(1, 8);
  const seen = (hex) => (theme === THEMES.dark && hex === "#000000" ? "#ffffff" : hex);
  const tone = new Uint16Array(count); // which tint a sound has

  function colour() {
    const [by, steps] = [colouring.value, tints().length];
    const step = (i) => Math.min(steps - 1, Math.floor(features[by][i] * steps));
    const kind = (i) => (kinds[i] < 0 ? steps - 1 : kinds[i]);
    all.forEach((i) => (tone[i] = by === "class" ? kind(i) : step(i)));
    explain();
    paint();
  }

  // What the colours mean; a class is switched off and on here.
  function explain() {
    const swatch = (hex) => node("i", { style: { background: seen(hex) } });
    const sea = node("span", {}, node("i", { className: "sv-sea" }), "guessing");
    const by = colouring.value;
    if (by !== "class") {
      const steps = node("span", {}, `not ${by} `, ...tints().map(swatch), ` ${by}`);
      return legend.replaceChildren(steps, sea);
    }
    const counts = [...classes, ""].map(() => 0);
    tone.forEach((kind) => counts[kind]++);
    const entry = (amount, place) => {
      const kind = place < classes.length ? place : -1;
      const own = button("", () => {
        if (!hidden.delete(kind)) hidden.add(kind);
        own.ariaPressed = String(!hidden.has(kind));
        sift();
      }, { ariaPressed: String(!hidden.has(kind)), hidden: !amount });
      const text = `${classes[place] ?? "no class"} ${amount.toLocaleString("en")}`;
      own.append(swatch(tints()[place]), text);
      return own;
    };
    return legend.replaceChildren(...counts.map(entry), sea);
  }

  // Dark where the page's text is light.
  function dress() {
    const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    pen.fillStyle = getComputedStyle(el).color;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
    const now = 0.3 * red + 0.59 * green + 0.11 * blue > 140 ? THEMES.dark : THEMES.light;
    if (theme === now) return;
    theme = now;
    root.classList.toggle("sv-dark", theme === THEMES.dark);
    paintShade();
    explain();
    paint();
  }

  const mixed = Uint32Array.from(all); // drawn in no order, so that no class hides the others
  const dice = chance(1);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(dice() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  let order = mixed; // what is left out comes first, below the others
  let dim = 0; // how many these are

  function sift() {
    const stays = (i) =>
      seconds[i] >= lengths.least && seconds[i] <= lengths.most && !hidden.has(kinds[i]);
    all.forEach((i) => (lit[i] = stays(i)));
    order = Uint32Array.from([0, 1].flatMap((value) => [...mixed.filter((i) => lit[i] === value)]));
    dim = count - lit.reduce((sum, value) => sum + value, 0);
    say(dim ? `${many(count - dim)} of ${count.toLocaleString("en")} are left` : "");
    paint();
  }

  // Drawing.

  let image = null; // the pixels of all points
  let frames = 0;
  function paint() {
    frames ||= requestAnimationFrame(() => {
      frames = 0;
      if (!image) return; // not in sight yet
      paintDots();
      paintMarks();
    });
  }

  function fit() {
    if (!stage.clientWidth || !stage.clientHeight) return; // not in sight yet
    Object.assign(size, { width: stage.clientWidth, height: stage.clientHeight });
    // Very many points on a large, fine screen are drawn less finely, to stay quick.
    const most = count > 20_000 ? Math.sqrt(1.5e6 / (size.width * size.height)) : Infinity;
    const densities = [[dots, Math.min(devicePixelRatio, most)], [marks, devicePixelRatio]];
    for (const [canvas, fine] of densities) {
      canvas.width = Math.round(size.width * fine);
      canvas.height = Math.round(size.height * fine);
    }
    image = new ImageData(dots.width, dots.height);
    dress();
    paint();
  }

  // Pixel by pixel and without a graphics card: 100,000 points take some 6 ms, in any browser.
  function paintDots() {
    const { width, height } = dots;
    const fine = width / size.width;
    const apiece = 0.3 * Math.sqrt((size.width * size.height) / count);
    const wide = Math.min(5, Math.min(4, Math.max(1.2, apiece)) * view.zoom ** 0.2);
    const shape = disc(fine * wide);
    const offsets = Int32Array.from(shape, ({ x, y }) => y * width + x);
    const rims = Uint8Array.from(shape, ({ rim }) => rim);
    const covers = Uint8Array.from(shape, ({ cover }) => cover);
    const faint = covers.map((cover) => 0.3 * cover);
    const inks = Uint32Array.from([...tints(), GREY].map(seen).map(channels).flatMap((ink) =>
      [packed(ink), packed(ink.map((value) => value * 0.7))]));
    const pixels = new Uint32Array(image.data.buffer).fill(0);
    const margin = Math.ceil(fine * wide);
    const [across, up] = [scale().x, scale().y].map((one) => fine * one);
    const [left, bottom] = [width / 2 - view.x * across, height / 2 + view.y * up];
    for (let n = 0; n < count; n++) {
      const i = order[n];
      const x = Math.round(left + across * points[2 * i]);
      const y = Math.round(bottom - up * points[2 * i + 1]);
      if (x < margin || y < margin || x >= width - margin || y >= height - margin) continue;
      const ink = n < dim ? inks.length - 2 : 2 * tone[i];
      stamp(pixels, y * width + x, offsets, n < dim ? faint : covers, inks, ink, rims);
    }
    dots.getContext("2d").putImageData(image, 0, 0);
    const corner = onScreen({ x: -EDGE, y: 1 + EDGE });
    const grown = [scale().x / guess.width, scale().y / guess.height];
    shade.style.transform =
      `translate(${corner.x}px, ${corner.y}px) scale(${grown.map((one) => one * (1 + 2 * EDGE))})`;
  }

  function paintShade() {
    const [red, green, blue, most] = theme.sea;
    [shade.width, shade.height] = [guess.width, guess.height];
    const sea = new ImageData(guess.width, guess.height);
    guess.values.forEach((value, i) => {
      const row = guess.height - 1 - Math.floor(i / guess.width); // its rows go upwards
      sea.data.set([red, green, blue, most * value], 4 * (row * guess.width + (i % guess.width)));
    });
    shade.getContext("2d").putImageData(sea, 0, 0);
  }

  function paintMarks() {
    const pen = marks.getContext("2d");
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, size.width, size.height);
    pen.lineJoin = pen.lineCap = "round";
    // Every line twice, the wider one as its edge: it has to be seen on dots of any colour.
    const line = (width, trace) => {
      for (const [extra, ink] of [[2.5, theme.ground], [0, theme.ink]]) {
        pen.beginPath();
        trace();
        [pen.lineWidth, pen.strokeStyle] = [width + extra, ink];
        pen.stroke();
      }
    };
    const ring = (at, radius, width) =>
      line(width, () => pen.arc(onScreen(at).x, onScreen(at).y, radius, 0, 7));
    const through = (places, width) =>
      line(width, () => places.map(onScreen).forEach(({ x, y }) => pen.lineTo(x, y)));
    const write = (text, x, y) => {
      [pen.lineWidth, pen.strokeStyle, pen.fillStyle] = [4, theme.ground, theme.ink];
      pen.strokeText(text, x, y);
      pen.fillText(text, x, y);
    };
    paintNames(pen, write);
    alike.forEach(({ index }) => ring(spot(index), 8, 1.5));
    if (mark && shown === mark) {
      shown.nearest.forEach(({ index }) => through([shown, spot(index)], 0.75));
    }
    if (shown?.line) through(shown.line, 2);
    if (drag?.line) through(drag.line, 1.5);
    if (pads.length) through([...pads.region, pads.region[0]], 1);
    pads.forEach((pad) => ring(pad, 3, 1.5));
    picked.forEach((one, i) => {
      ring(one, 9, 2);
      write(String(i + 1), onScreen(one).x + 14, onScreen(one).y - 8);
    });
    if (hot >= 0) ring(spot(hot), 7, 2);
    if (mark) {
      ring(mark, 6, 3);
      pen.fillStyle = COLOURS[1];
      pen.fill();
    }
    if (cross) {
      const { x, y } = onScreen(cross);
      line(2, () => [[1, 0], [-1, 0], [0, 1], [0, -1]].forEach(([a, b]) => {
        pen.moveTo(x + 4 * a, y + 4 * b);
        pen.lineTo(x + 14 * a, y + 14 * b);
      }));
    }
  }

  // Names of regions, each where it is in sight and meets no other.
  function paintNames(pen, write) {
    pen.font = "600 12px system-ui, sans-serif";
    [pen.textAlign, pen.textBaseline] = ["center", "middle"];
    const taken = [];
    for (const region of regions) {
      const at = onScreen(region);
      const half = pen.measureText(region.name).width / 2 + 4;
      const x = Math.min(size.width - half, Math.max(half, at.x));
      const y = Math.min(size.height - 10, Math.max(10, at.y));
      const meets = (t) => Math.abs(t.x - x) < t.half + half && Math.abs(t.y - y) < 18;
      const inside = at.x > 0 && at.y > 0 && at.x < size.width && at.y < size.height;
      if (!inside || 2 * half > size.width || taken.some(meets)) continue;
      taken.push({ x, y, half });
      write(region.name, x, y);
    }
  }

  // The waveform's outline over its spectrum.
  function portrait(sound) {
    const [width, wave, tall] = [320, 44, 96];
    const ariaLabel = `waveform and spectrum: ${sound.title}`;
    const canvas = node("canvas", { role: "img", ariaLabel, width, height: wave + tall });
    const pen = canvas.getContext("2d");
    pen.fillStyle = theme.ink;
    const apiece = sound.samples.length / width;
    const top = Math.max(highest(sound.samples), 1e-9);
    for (let x = 0; x < width; x++) {
      const part = sound.samples.subarray(x * apiece, (x + 1) * apiece + 1);
      const high = Math.max(0.5, (highest(part) / top) * (wave / 2 - 2));
      pen.fillRect(x, wave / 2 - high, 1, 2 * high);
    }
    const { bands, columns, decibels } = spectrum(sound);
    const [small, steps] = [new OffscreenCanvas(columns, bands), MAGMA.map(channels)];
    const colours = new ImageData(columns, bands);
    decibels.forEach((level, i) => {
      const step = (level / 70 + 1) * (steps.length - 1);
      const [low, high] = [steps[Math.floor(step)], steps[Math.ceil(step)]];
      const row = bands - 1 - Math.floor(i / columns);
      const mix = low.map((value, c) => value + (step % 1) * (high[c] - value));
      colours.data.set([...mix, 255], 4 * (row * columns + (i % columns)));
    });
    small.getContext("2d").putImageData(colours, 0, 0);
    pen.drawImage(small, 0, wave, width, tall);
    return canvas;
  }

  // What is made, and the card that shows it.

  function keep(bytes, type, name) {
    const href = URL.createObjectURL(new Blob([bytes], { type }));
    const own = node("a", { href, download: name, hidden: true });
    root.append(own); // VS Code watches for clicks that come by
    own.click();
    own.remove();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
    say(`saved as ${name}`);
  }
  const keepWav = (sound, name) => keep(wav(sound), "audio/wav", `${safe(name)}.wav`);
  const wavButton = (name, sound) =>
    button("WAV", () => attempt((async () => keepWav(await sound(), name))()), {
      ariaLabel: `save ${name} as WAV`,
    });

  // A recorded sound in a list: its name plays it, + picks it.
  const row = (i, text) => node(
    "li", {}, link(names[i], () => audition(i), { title: label(i) }), node("small", {}, text),
    button("+", () => pick(spot(i)), { ariaLabel: `pick ${names[i]}` }),
  );

  // Waits for a sound, plays it and puts it into the card.
  async function present(title, work, more = {}) {
    say(`${title} …`);
    const sound = { nearest: [], ...(await work), ...more, title };
    play(sound);
    made = [sound, ...made].slice(0, 20);
    show(sound);
    say(title + (sound.guess === undefined ? "" : `, ${certainty(sound.guess)}`));
  }

  function create({ x, y }, again = 0) {
    [mark, rested] = [{ x, y }, onScreen({ x, y })];
    paintMarks();
    const title = `made at ${written({ x, y })}${again ? `, variation ${again}` : ""}`;
    return attempt(present(title, engine.make(x, y, again), { x, y, again }));
  }

  function show(sound) {
    const { title, nearest: around, lender, again, grafted } = sound;
    const lenders = grafted ? around.map(({ index }, i) => [["Attack", "Body"][i], index])
      : lender === undefined ? [] : [["Fine detail", lender]];
    const borrowed = lenders.map(([what, index]) => node(
      "p", { className: "sv-lender" }, `${what} borrowed from `,
      link(names[index], () => audition(index)),
    ));
    const heading = grafted ? "Borrowed from, and for what share of the time"
      : "Nearest recorded sounds, and their shares";
    const how = ({ distance, weight }) =>
      `${round(distance)} away${weight ? ` · ${Math.round(100 * weight)} %` : ""}`;
    [shown, mark] = [sound, again === undefined ? null : sound];
    card.replaceChildren(
      node("h4", {}, title), portrait(sound),
      node("p", {}, sound.guess === undefined ? "" : certainty(sound.guess)), ...borrowed,
      box(
        "sv-acts", button("▶ play", () => play(sound)),
        button("again", () => create(sound, again + 1), { hidden: !mark, title: "a variation" }),
        button("+ pick", () => pick({ x: sound.x, y: sound.y }), { hidden: !mark }),
        button("find similar", () => attempt(seek(sound, title))),
        wavButton(title, () => sound),
      ),
      ...(around.length ? listed(heading, around.map((one) => row(one.index, how(one)))) : []),
    );
    list.replaceChildren(...listed("Made so far", made.map((one) => node(
      "li", {},
      link(one.title, () => (play(one), show(one)), { ariaCurrent: String(one === sound) }),
      wavButton(one.title, () => one),
    ))));
    list.hidden = false;
    paintMarks();
  }

  // Steps along a line, made one after the other and heard as one sound.
  async function morph(line) {
    const ways = line.map(onScreen);
    const long = ways.reduce((sum, at, i) => sum + (i ? apart(at, ways[i - 1]) : 0), 0);
    const places = along(line, Math.min(16, Math.max(8, Math.round(long / 40))));
    const steps = [];
    for (const at of places) {
      say(`path: step ${steps.length + 1} of ${places.length} …`);
      steps.push((await engine.make(at.x, at.y, 0)).samples);
    }
    const title =
      `path of ${steps.length} steps from ${written(line[0])} to ${written(line.at(-1))}`;
    await present(title, { samples: sequence(steps, rate), rate }, { line });
  }

  // Picks: sounds and places with weights.

  function pick(one) {
    const same = picked.find((other) => apart(one, other) === 0);
    picked = same ? picked.filter((other) => other !== same) : [...picked, one];
    weigh(() => 1 / picked.length);
    say(`${picked.length} picked`);
  }

  function pickNear(at) {
    const i = nearest(at, REACH);
    pick(i < 0 ? at : spot(i));
    if (i >= 0) attempt(scrub(i));
  }

  function weigh(rule) {
    picked.forEach((one, i) => (one.weight = rule(i)));
    showPicks();
  }

  const title = (one) => names[one.index] ?? `the place ${written(one)}`;

  const term = ({ index, x, y }) => (index === undefined ? { x, y } : { index });

  function graft() {
    const [attack, body] = picked;
    const own = (one) => title(one).split(/[\\/]/).pop(); // or a file of it had the last one's name
    const text = `attack of ${own(attack)}, body of ${own(body)}`;
    return attempt(present(text, engine.graft(term(attack), term(body)), { grafted: true }));
  }

  function mix() {
    const terms = picked.map((one) => ({ ...term(one), weight: one.weight }));
    const text = picked.map((one) => `${round(one.weight)} × ${title(one)}`).join(" + ");
    return attempt(present(`mix: ${text}`, engine.combine(terms)));
  }

  function pickRow(one, i) {
    const name = title(one);
    const known = one.index !== undefined;
    const sound = () => (known ? recorded(one.index) : engine.make(one.x, one.y, 0));
    const amount = node("output", {}, round(one.weight));
    const slider = node("input", {
      type: "range", min: -2, max: 2, step: 0.05, value: one.weight, ariaLabel: `weight of ${name}`,
      oninput: () => (amount.textContent = round((one.weight = Number(slider.value)))),
      onchange: mix,
    });
    return node(
      "li", {}, `${i + 1} `, link(name, () => (known ? audition(one.index) : create(one))), slider,
      amount,
      button("similar", () => attempt((async () => seek(await sound(), name))()), {
        ariaLabel: `find similar to ${name}`,
      }),
      wavButton(name, sound), button("×", () => pick(one), { ariaLabel: `remove ${name}` }),
    );
  }

  function showPicks() {
    const rest = picked.length - 1;
    const rule = (text, title, weight) =>
      button(text, () => (weigh(weight), mix()), { title, disabled: rest < 1 });
    picks.hidden = !picked.length;
    picks.replaceChildren(...listed("Picked", picked.map(pickRow)), box(
      "sv-acts", button("mix", mix),
      rule("average", "equal shares", () => 1 / (rest + 1)),
      rule("subtract", "the first without what the others have", (i) => (i ? -1 / rest : 1)),
      rule("extrapolate", "beyond the first, away from the others", (i) => (i ? -0.5 / rest : 1.5)),
      button("attack + body", graft, {
        title: "the beginning of the first on the rest of the second", disabled: rest < 1,
      }),
      button("morph", () => attempt(morph(picked)), { title: "a path", disabled: rest < 1 }),
      button("clear", () => ((picked = []), showPicks())),
    ));
    paintMarks();
  }

  // Sounds like another.

  async function seek(sound, name) {
    say(`looking for sounds similar to ${name} …`);
    alike = await engine.similar(sound.samples, sound.rate, 12);
    const lines = alike.map(({ index, distance }) => row(index, round(distance)));
    const clear = () => ((alike = []), (likes.hidden = true), paintMarks());
    likes.replaceChildren(...listed(`Similar to: ${name}`, lines), button("clear", clear));
    likes.hidden = false;
    say(`${many(alike.length)} similar to ${name}; the nearest: ${names[alike[0]?.index]}`);
    paintMarks();
  }

  async function read(dropped) {
    const decoder = new OfflineAudioContext(1, 1, rate); // it also brings the file to our rate
    const heard = await decoder.decodeAudioData(await dropped.arrayBuffer()).catch(() => {
      throw Error(`${dropped.name} is no sound file that this browser can read`);
    });
    const parts = [...Array(heard.numberOfChannels).keys()].map((c) => heard.getChannelData(c));
    const mean = (_, i) => parts.reduce((sum, part) => sum + part[i], 0) / parts.length;
    await seek({ samples: parts[0].map(mean), rate }, dropped.name);
  }

  // The kit.

  // What pads of a region are taken from: its recorded sounds, and places where nothing need be
  // guessed, if there are enough.
  function pool(region) {
    const dice = chance(region.length);
    const inside = all.filter((i) => lit[i] && within(region, spot(i)));
    const few = inside.filter(() => dice() < 3000 / inside.length);
    const [low, high] = [Math.min, Math.max].map((reach) =>
      ({ x: reach(...region.map(({ x }) => x)), y: reach(...region.map(({ y }) => y)) }));
    const anywhere = (axis) => low[axis] + dice() * (high[axis] - low[axis]);
    const places = Array.from({ length: 2000 }, () => ({ x: anywhere("x"), y: anywhere("y") }))
      .filter((at) => within(region, at));
    const known = places.filter((at) => guessAt(at) < 0.5);
    return { sounds: few.map(spot), places: (known.length < 32 ? places : known).slice(0, 500) };
  }

  const startKit = (region) => attempt(dealKit(region));
  // Half of it recorded sounds, half made at places between them, each far from all others; or one
  // sound of each class. Where there is none, or no other, a place takes its turn.
  async function dealKit(region) {
    const { sounds, places } = pool(region);
    if (!places.length) throw Error("That is too small for a kit: draw around a larger region.");
    const own = ++deal;
    const taken = [];
    const next = (wanted) => {
      const free = wanted.filter((one) => !taken.includes(one));
      const from = free.length ? free : places;
      taken.push(taken.length ? farthest(from, taken) : from[0]);
      return { ...taken.at(-1) };
    };
    const kindred = classes.map((_, kind) => sounds.filter(({ index }) => kinds[index] === kind));
    const groups = dealing.value === "class"
      ? kindred.filter((group) => group.length).slice(0, PADS.length)
      : PADS.map((_, i) => (i % 2 ? places : sounds));
    pads = Object.assign(groups.map((group) => ({ ...next(group), group })), { region, next });
    for (const [i, pad] of pads.entries()) {
      await fill(pad);
      if (own !== deal) return;
      say(`kit: ${i + 1} of ${pads.length} …`);
    }
    say(`a kit of ${pads.length}, below: play it with the keys on its pads`);
  }

  async function fill(pad) {
    showKit();
    const { index } = pad;
    const sound = await (index === undefined ? engine.make(pad.x, pad.y, 0) : recorded(index));
    const base = safe(names[index ?? sound.lender]);
    const kind = safe(labels[index] || base);
    const recordedAs = base.startsWith(kind) ? base : `${kind}-${base}`;
    Object.assign(pad, sound, { title: index === undefined ? `made-of-${base}` : recordedAs });
    showKit();
  }

  function exchange(pad) {
    Object.assign(pad, { samples: null, index: undefined }, pads.next(pad.group));
    attempt(fill(pad));
  }

  function showKit() {
    const cell = (pad, i) => box(
      "sv-cell",
      node("button", {
        type: "button", className: `sv-pad${pad.index === undefined ? " sv-new" : ""}`,
        disabled: !pad.samples, onclick: () => play(pad),
      }, node("kbd", {}, KEYS[i].toUpperCase()), node("span", {}, pad.title ?? "…")),
      button("↻", () => exchange(pad), {
        ariaLabel: `another sound for pad ${i + 1}`, title: "another", disabled: !pad.samples,
      }),
    );
    kit.hidden = !pads.length;
    kit.replaceChildren(
      node("h4", {}, "Kit"),
      box(
        "sv-acts", dealing,
        button("save kit (.zip)", keepKit, { disabled: !pads.every(({ samples }) => samples) }),
        button("close", () => ((pads = []), deal++, showKit())),
      ),
      box("sv-pads", ...pads.map(cell)),
    );
    paintMarks();
  }

  // WAVs, an SFZ instrument with a key for each from 36 (C1) on, and a sample map for Strudel.
  function keepKit() {
    const files = pads.map(({ title }, i) => `${String(i + 1).padStart(2, "0")}-${title}.wav`);
    const regions = files.map((name, i) => `<region> sample=${name} key=${36 + i}\r\n`);
    const text = (content) => new TextEncoder().encode(content);
    keep(zip([
      ...pads.map((pad, i) => [files[i], wav(pad)]),
      ["kit.sfz", text(`<group> loop_mode=one_shot\r\n${regions.join("")}`)],
      ["strudel.json", text(JSON.stringify({ _base: "", kit: files }, null, 1))],
    ]), "application/zip", "kit.zip");
  }

  // What a person does.

  function choose(name) {
    tool = name;
    tools.forEach((one) => (one.ariaPressed = String(one.value === name)));
    stage.dataset.tool = name;
    say(TOOLS[name][1]);
  }

  const under = ({ clientX, clientY }) => {
    const { left, top } = stage.getBoundingClientRect();
    return { x: clientX - left - stage.clientLeft, y: clientY - top - stage.clientTop };
  };

  function hover(at) {
    const i = nearest(onMap(at), REACH);
    tip.hidden = i < 0;
    if (i >= 0) {
      tip.textContent = label(i);
      const { x, y } = onScreen(spot(i));
      const [left, right] = [`${x + 8}px`, `${size.width - x + 8}px`];
      const side = x < size.width / 2 ? { left, right: "auto" } : { left: "auto", right };
      Object.assign(tip.style, side, { top: `${Math.min(size.height - 30, y + 12)}px` });
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
    const draws = event.shiftKey || tool === "path" ? "path" : tool === "kit" ? "kit" : "";
    drag = fingers.size > 1 ? null : { from: at, last: at, draws, line: draws && [onMap(at)] };
    cross = null;
  };
  stage.onpointermove = (event) => {
    const at = under(event);
    if (fingers.size > 1) {
      const before = pinch();
      fingers.set(event.pointerId, at);
      const after = pinch();
      shift(after.x - before.x, after.y - before.y);
      zoom(after.wide / before.wide, after);
    } else if (!drag) {
      hover(at);
    } else if (drag.moved || apart(at, drag.from) > CLICK) {
      drag.moved = tip.hidden = true;
      if (drag.draws) drag.line.push(onMap(at));
      else shift(at.x - drag.last.x, at.y - drag.last.y);
      drag.last = at;
      paint();
    }
  };
  stage.onpointerup = (event) => {
    fingers.delete(event.pointerId);
    const [done, at] = [drag, onMap(under(event))];
    drag = null;
    if (!done) return;
    if (!done.moved) (tool === "pick" ? pickNear : create)(at);
    else if (done.draws === "path") attempt(morph(done.line));
    else if (done.draws === "kit") startKit(done.line);
    paint();
  };
  stage.onpointercancel = ({ pointerId }) => {
    fingers.delete(pointerId);
    drag = null;
  };
  stage.onpointerleave = () => (tip.hidden = true);

  // The page scrolls on unless the map is at hand; two fingers on a touchpad always mean the map.
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !stage.matches(":focus")) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), under(event));
  }, { passive: false });

  // The crosshair goes by so many pixels, and the map with it where it would leave the view.
  function step(x, y) {
    const from = onScreen(cross ?? view);
    const to = { x: from.x + x, y: from.y + y };
    const edge = (value) => Math.min(1 + EDGE, Math.max(-EDGE, value));
    const outside = to.x < 0 || to.y < 0 || to.x > size.width || to.y > size.height;
    cross = { x: edge(onMap(to).x), y: edge(onMap(to).y) };
    if (outside) shift(-x, -y);
    const i = nearest(cross);
    say(`${written(cross)}, ${certainty(guessAt(cross))}; nearest: ${i < 0 ? "none" : label(i)}`);
    paintMarks();
  }

  stage.onkeydown = (event) => {
    const far = event.shiftKey ? 60 : 15;
    const here = cross ?? { x: view.x, y: view.y };
    const closer = () => zoom(1.5, onScreen(here));
    const acts = {
      ArrowLeft: () => step(-far, 0), ArrowRight: () => step(far, 0),
      ArrowUp: () => step(0, -far), ArrowDown: () => step(0, far),
      Enter: () => create((cross = here)),
      " ": () => nearest(here) >= 0 && audition(nearest(here)),
      p: () => pickNear((cross = here)),
      "+": closer, "=": closer, "-": () => zoom(1 / 1.5, onScreen(here)), 0: () => zoom(0),
      Escape: silence,
    };
    const foreign = event.ctrlKey || event.metaKey || event.altKey;
    if (foreign || !Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  };

  root.onpointerup = output; // a click or a key lets a page sound
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") output();
    const pad = pads[PADS.indexOf(event.code)];
    const foreign = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
    if (!pad?.samples || foreign || /INPUT|SELECT/.test(event.target.tagName)) return;
    event.preventDefault();
    event.stopPropagation();
    play(pad);
  }, { capture: true });
  root.ondragover = (event) => event.preventDefault();
  root.ondrop = (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (event.dataTransfer.files.length) attempt(read(event.dataTransfer.files[0]));
  };

  // Start and end.

  el.append(root);
  choose("make");
  say(count ? "Click anywhere on the map: also where no sound is." : "This map has no sound.");
  dress();
  colour();
  const sized = new ResizeObserver(fit);
  const dressed = new MutationObserver(dress);
  sized.observe(stage);
  for (const one of [document.documentElement, document.body]) {
    dressed.observe(one, { attributes: true });
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", dress, { signal: end.signal });
  return () => {
    end.abort();
    sized.disconnect();
    dressed.disconnect();
    cancelAnimationFrame(frames);
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
  const answer = ({ id, error, ...fields }, buffers) => {
    const { resolve, reject } = open.get(id) ?? {};
    open.delete(id);
    if (error) reject?.(Error(error));
    else resolve?.(buffers.length ? { ...fields, samples: floats(buffers[0]) } : fields);
  };
  let asked = 0;
  const ask = (what, given, buffers = []) =>
    new Promise((resolve, reject) => {
      const id = `${own}-${asked++}`;
      const late = "The kernel gives no answer: does it run, and has it nothing else to do?";
      open.set(id, { resolve, reject });
      setTimeout(() => open.delete(id) && reject(Error(late)), 30_000);
      model.send({ id, ask: what, ...given }, undefined, buffers);
    });
  model.on("msg:custom", answer);
  const about = model.get("about");
  const count = about.names.length;
  const values = floats(model.get("values")); // x and y of each sound, then a row of each column
  const row = (i) => values.subarray((2 + i) * count, (3 + i) * count);
  const { buffer, byteOffset, byteLength } = model.get("guess");
  const engine = {
    ...about,
    count,
    points: values.subarray(0, 2 * count),
    seconds: row(0),
    features: Object.fromEntries(about.features.map((name, i) => [name, row(i + 1)])),
    guess: { ...about.guess, values: new Uint8Array(buffer, byteOffset, byteLength) },
    sound: (index) => ask("sound", { index }),
    make: (x, y, again = 0) => ask("make", { x, y, again }),
    combine: (terms) => ask("combine", { terms }),
    graft: (attack, body) => ask("graft", { attack, body }),
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
