// The engine of a map in a page of its own: it finds, makes and compares sounds without a kernel,
// from what map_page.py put into the page. The numbers are those of the library in Python.

const [AROUND, BESIDE] = [20, 10]; // sounds that make up a place; sounds that give a mixture its own
const HERE = 1e-6; // a place no farther from a sound than this is the sound's own
const FAR = 4; // so many times farther than usual from all sounds, a mixture is a guess
const [LEAST_DB, MOST_DB] = [-60, 40]; // how far a band is turned down or up
const LEAST = 1e-9; // magnitude below which no band is told from silence
const LOWEST = 20; // Hz: below, nothing is heard that might be turned up
const FADE = 0.003; // seconds; a made sound may be louder than its lender where that begins or ends
const ONSET = 0.02; // of its peak: a sound begins with the first sample above this
const [ATTACK, SEAM, SHIFT] = [0.03, 0.006, 0.002]; // seconds: of a graft, as in the library
const KEPT = 100; // decoded sounds that are kept at hand
const KINDS = { f4: Float32Array, i1: Int8Array, u1: Uint8Array };

const bytes = (text) => {
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
  return found;
};
const numbers = ({ kind, data }) => new KINDS[kind](bytes(data).buffer);

// Rows of small whole numbers, each row with a scale of its own.
const scaled = ({ steps, scales }) => {
  const [rows, values] = [numbers(scales), Float32Array.from(numbers(steps))];
  const width = values.length / rows.length;
  rows.forEach((scale, row) => {
    for (let i = row * width; i < (row + 1) * width; i++) values[i] *= scale;
  });
  return values;
};

// The discrete Fourier transform, in place, of as many values as a power of four: each round takes
// what lies a quarter apart, and leaves it in order (Stockham, 1966).
const powerOfFour = (size) => {
  const wave = (trig) => Float64Array.from({ length: size }, (_, k) => trig((-2 * Math.PI * k) / size));
  const [cosines, sines] = [wave(Math.cos), wave(Math.sin)];
  const others = [new Float64Array(size), new Float64Array(size)];
  const quarter = size / 4;
  return (re, im) => {
    let [x, y, u, v] = [re, im, ...others];
    for (let run = 1; run < size; run *= 4) {
      for (let start = 0; start < quarter; start += run) {
        const c1 = cosines[start], c2 = cosines[2 * start], c3 = cosines[3 * start];
        const s1 = sines[start], s2 = sines[2 * start], s3 = sines[3 * start];
        for (let a = start, to = 4 * start; a < start + run; a++, to++) {
          const b = a + quarter, c = b + quarter, d = c + quarter;
          const sumRe = x[a] + x[c], sumIm = y[a] + y[c], oddRe = x[b] + x[d], oddIm = y[b] + y[d];
          const lessRe = x[a] - x[c], lessIm = y[a] - y[c], turnRe = y[b] - y[d], turnIm = x[d] - x[b];
          const oneRe = lessRe + turnRe, oneIm = lessIm + turnIm;
          const twoRe = sumRe - oddRe, twoIm = sumIm - oddIm;
          const threeRe = lessRe - turnRe, threeIm = lessIm - turnIm;
          u[to] = sumRe + oddRe;
          v[to] = sumIm + oddIm;
          u[to + run] = oneRe * c1 - oneIm * s1;
          v[to + run] = oneRe * s1 + oneIm * c1;
          u[to + 2 * run] = twoRe * c2 - twoIm * s2;
          v[to + 2 * run] = twoRe * s2 + twoIm * c2;
          u[to + 3 * run] = threeRe * c3 - threeIm * s3;
          v[to + 3 * run] = threeRe * s3 + threeIm * c3;
        }
      }
      [x, y, u, v] = [u, v, x, y];
    }
    if (x === re) return;
    re.set(x);
    im.set(y);
  };
};

// The same of any number of values, as a convolution with a chirp (Bluestein, 1970).
const fourier = (length) => {
  const size = 4 ** Math.ceil(Math.log2(2 * length - 1) / 2);
  const transform = powerOfFour(size);
  const chirp = (trig) =>
    Float64Array.from({ length }, (_, k) => trig((Math.PI * ((k * k) % (2 * length))) / length));
  const [cosines, sines] = [chirp(Math.cos), chirp(Math.sin)];
  const [filterRe, filterIm, a, b] = Array.from({ length: 4 }, () => new Float64Array(size));
  for (let k = 0; k < length; k++) {
    filterRe[k] = filterRe[(size - k) % size] = cosines[k] / size;
    filterIm[k] = filterIm[(size - k) % size] = sines[k] / size;
  }
  transform(filterRe, filterIm);
  return (re, im) => {
    a.fill(0);
    b.fill(0);
    for (let k = 0; k < length; k++) {
      a[k] = re[k] * cosines[k] + im[k] * sines[k];
      b[k] = im[k] * cosines[k] - re[k] * sines[k];
    }
    transform(a, b);
    for (let k = 0; k < size; k++) {
      const real = a[k] * filterRe[k] - b[k] * filterIm[k];
      b[k] = a[k] * filterIm[k] + b[k] * filterRe[k];
      a[k] = real;
    }
    transform(b, a); // real and imaginary part exchanged: the way back
    for (let k = 0; k < length; k++) {
      re[k] = a[k] * cosines[k] + b[k] * sines[k];
      im[k] = b[k] * cosines[k] - a[k] * sines[k];
    }
  };
};

// Frames of a sound around each multiple of `hop`, in mel bands. filters: of each band the first
// bin and the values from there on.
const shortTime = ({ size, hop, filters }) => {
  const bins = size / 2 + 1;
  const transform = fourier(size);
  const window = Float64Array.from({ length: size }, (_, i) => Math.sin((Math.PI * i) / size) ** 2);
  const [re, im] = [new Float64Array(size), new Float64Array(size)];
  const frames = (sound) => 1 + Math.floor(sound.length / hop);

  // Two real frames go through one transform, as its real and its imaginary part.
  const pairs = (sound, act) => {
    const padded = new Float32Array(sound.length + 2 * size); // with silence before and behind
    padded.set(sound, size / 2);
    for (let frame = 0; frame < frames(sound); frame += 2) {
      for (let i = 0, at = frame * hop; i < size; i++, at++) {
        re[i] = window[i] * padded[at];
        im[i] = window[i] * padded[at + hop];
      }
      transform(re, im);
      act(frame);
    }
  };

  // Magnitudes of all bands, frame by frame.
  const bands = (sound) => {
    const [found, spectrum] = [new Float64Array(frames(sound) * filters.length), new Float64Array(bins)];
    pairs(sound, (first) => {
      [1, -1].slice(0, frames(sound) - first).forEach((sign, second) => {
        for (let k = 0; k < bins; k++) {
          const mirror = (size - k) % size;
          spectrum[k] = Math.hypot(re[k] + sign * re[mirror], im[k] - sign * im[mirror]) / 2;
        }
        filters.forEach(([start, values], band) => {
          const place = (first + second) * filters.length + band;
          values.forEach((value, i) => (found[place] += value * spectrum[start + i]));
        });
      });
    });
    return found;
  };

  // How much of each band's gain each bin takes, together 1; a bin in no band goes with the nearest.
  const shares = [];
  const total = new Float64Array(bins);
  const middles = filters.map(([start, values]) => {
    values.forEach((value, i) => (total[start + i] += value));
    const sum = values.reduce((all, value) => all + value, 0);
    return values.reduce((all, value, i) => all + value * (start + i), 0) / Math.max(sum, 1e-12);
  });
  filters.forEach(([start, values], band) =>
    values.forEach((value, i) => value > 0 && shares.push([start + i, band, value / total[start + i]])),
  );
  total.forEach((sum, bin) => {
    if (sum > 0) return;
    const away = middles.map((middle) => Math.abs(middle - bin));
    shares.push([bin, away.indexOf(Math.min(...away)), 1]);
  });

  const factors = (gains, frame, into) => {
    const column = gains.subarray(frame * filters.length, (frame + 1) * filters.length);
    const turns = column.map((gain) => 10 ** (gain / 20));
    into.fill(0);
    for (const [bin, band, share] of shares) into[bin] += share * turns[band];
  };

  // A sound whose bands are turned up by gains in dB, frame by frame.
  const turned = (sound, gains) => {
    const count = frames(sound);
    const [made, weight] = [0, 1].map(() => new Float64Array((count + 1) * hop + size));
    const [one, other] = [new Float64Array(bins), new Float64Array(bins)];
    const add = (frame, values) => {
      for (let i = 0, at = frame * hop; i < size; i++, at++) {
        made[at] += (values[i] * window[i]) / size;
        weight[at] += window[i] * window[i];
      }
    };
    pairs(sound, (frame) => {
      const paired = frame + 1 < count;
      factors(gains, frame, one);
      factors(gains, paired ? frame + 1 : frame, other);
      for (let k = 0; k < bins; k++) {
        const [both, apart, mirror] = [(one[k] + other[k]) / 2, (one[k] - other[k]) / 2, (size - k) % size];
        const [a, b, c, d] = [re[k], im[k], re[mirror], im[mirror]];
        re[k] = both * a + apart * c;
        im[k] = both * b - apart * d;
        re[mirror] = both * c + apart * a;
        im[mirror] = both * d - apart * b;
      }
      transform(im, re); // the way back
      add(frame, re);
      if (paired) add(frame + 1, im);
    });
    return Float32Array.from(sound, (_, i) => made[i + size / 2] / weight[i + size / 2]);
  };
  return { size, hop, frames, bands, turned };
};

// Levels of mel bands in segments that grow longer. edges: the first frame of each, and the end.
const envelope = ({ edges, floor, bands }) => {
  const count = edges.length - 1;
  const middles = edges.slice(1).map((end, s) => (edges[s] + end - 1) / 2);

  // (bands, segments) → so many frames of bands, on straight lines between the segments' middles.
  // The first segment holds for some frames before it, the last for all behind it.
  const frames = (segments, length, before) => {
    const found = new Float32Array(length * bands);
    const last = Math.min(length - before, edges.at(-1)) - 1;
    for (let frame = 0, s = 0; frame < length; frame++) {
      const at = Math.min(Math.max(frame - before, 0), last);
      while (s < count - 2 && at > middles[s + 1]) s++;
      const share = (at - middles[s]) / (middles[s + 1] - middles[s]);
      const part = Math.min(Math.max(share, 0), 1);
      for (let band = 0; band < bands; band++) {
        const place = band * count + s;
        found[frame * bands + band] = (1 - part) * segments[place] + part * segments[place + 1];
      }
    }
    return found;
  };

  // Magnitudes, frames of bands → dB below the loudest, (bands, segments).
  const levels = (magnitudes) => {
    const level = magnitudes.map((value) => 20 * Math.log10(Math.max(value, LEAST)));
    const loudest = level.reduce((a, b) => Math.max(a, b), 20 * Math.log10(LEAST) - floor);
    const found = new Float32Array(bands * count);
    for (let s = 0; s < count; s++)
      for (let band = 0; band < bands; band++) {
        let sum = 0;
        for (let frame = edges[s]; frame < edges[s + 1]; frame++)
          sum += Math.max((level[frame * bands + band] ?? -Infinity) - loudest, floor);
        found[band * count + s] = sum / (edges[s + 1] - edges[s]);
      }
    return found;
  };
  return { frames, levels };
};

// The linear VAE of envelopes, and the sounds' latents in it: a row of either a dimension.
const code = ({ basis, mean, deviations, latents }, count) => {
  const [axes, middle, scale, rows] = [scaled(basis), numbers(mean), numbers(deviations), scaled(latents)];
  const width = middle.length;
  const of = (index) => scale.map((_, d) => rows[d * count + index]);
  // The sum of some sounds' latents, each times its weight.
  const mixed = (terms) =>
    scale.map((_, d) => terms.reduce((sum, { index, weight }) => sum + weight * rows[d * count + index], 0));
  // The change of the envelope, in dB, from one latent to another.
  const change = (from, to) => {
    const found = new Float32Array(width);
    scale.forEach((deviation, d) => {
      const step = (to[d] - from[d]) * deviation;
      for (let i = 0, at = d * width; i < width; i++, at++) found[i] += step * axes[at];
    });
    return found;
  };
  const encode = (levels) =>
    scale.map((deviation, d) => {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += (levels[i] - middle[i]) * axes[d * width + i];
      return sum / deviation;
    });
  // How far all sounds are from a latent, in dB: root mean square over the envelope.
  const away = (z) =>
    Float64Array.from({ length: count }, (_, index) => {
      const squares = scale.reduce((sum, s, d) => sum + (s * (z[d] - rows[d * count + index])) ** 2, 0);
      return Math.sqrt(squares / width);
    });
  return { of, mixed, change, encode, away };
};

// The least of some distances and whose they are, ascending.
const nearest = (distances, k) =>
  Array.from(distances, (distance, index) => ({ index, distance }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, k);

// Which sounds make up a place, and their shares by distance; all have one but the farthest.
const shared = (found) => {
  const reach = found.at(-1).distance;
  const sounds = found.slice(0, -1);
  const here = sounds.some(({ distance }) => distance === 0);
  const part = ({ distance }) => (here ? Number(distance === 0) : (reach - distance) / distance);
  const total = sounds.reduce((sum, each) => sum + part(each), 0);
  return sounds.map((each) => ({ ...each, weight: total > 0 ? part(each) / total : 1 / sounds.length }));
};

// Sounds from the page's MP3s, decoded when they are asked for.
const player = ({ rate, sounds, lengths, click }) => {
  const kept = new Map();
  const heard = async (text) => {
    const context = new OfflineAudioContext(1, 1, rate);
    return (await context.decodeAudioData(bytes(text).buffer)).getChannelData(0);
  };
  // Browsers differ in how late an MP3 comes out; a click says how late it is in this one.
  let late;
  const delay = async () => {
    const levels = (await heard(click.sound)).map(Math.abs);
    return levels.indexOf(levels.reduce((a, b) => Math.max(a, b))) - click.at;
  };
  const decoded = async (index) => {
    const [values, start] = await Promise.all([heard(sounds[index]), (late ??= delay())]);
    return Float32Array.from({ length: lengths[index] }, (_, i) => values[i + start] ?? 0);
  };
  return async (index) => {
    const found = kept.get(index) ?? decoded(index);
    kept.delete(index); // and put at the end, farthest from being let go
    kept.set(index, found);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return { samples: await found, rate };
  };
};

// What is above LOWEST: a Butterworth filter of the second order, in place.
const highPassed = (samples, rate) => {
  const k = Math.tan((Math.PI * LOWEST) / rate);
  const b = 1 / (1 + Math.SQRT2 * k + k * k);
  let [one, two] = [0, 0];
  samples.forEach((value, i) => {
    const now = b * value + one;
    one = two - 2 * b * value - 2 * (k * k - 1) * b * now;
    two = b * value - (1 - Math.SQRT2 * k + k * k) * b * now;
    samples[i] = now;
  });
};

const peakOf = (samples) => samples.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0);

// The sample with which a sound begins.
const onset = (samples) => {
  const peak = peakOf(samples);
  if (!peak) throw Error("That sound is silent.");
  return samples.findIndex((value) => Math.abs(value) > ONSET * peak);
};

// Where within reach of a start a body is most like a seam, and 1, or -1 if turned upside down.
const fitting = (seam, body, start, reach) => {
  const power = (values) => values.reduce((sum, value) => sum + value * value, 0);
  const [own, last] = [power(seam), Math.min(start + reach, body.length - seam.length)];
  let found = { score: -Infinity };
  for (let at = Math.max(0, start - reach); at <= last; at++) {
    const part = body.subarray(at, at + seam.length);
    const product = seam.reduce((sum, value, i) => sum + value * part[i], 0);
    const alike = product / Math.max(Math.sqrt(power(part) * own), 1e-12);
    const score = Math.abs(alike) - 1e-6 * Math.abs(at - start); // of equally good places the nearest
    if (score > found.score) found = { score, at, turn: alike < 0 ? -1 : 1 };
  }
  return found;
};

// The attack of one sound on the body of another.
const grafted = (attack, body, rate) => {
  const [first, behind] = [attack, body].map(onset);
  const longest = Math.min((ATTACK + SEAM / 2) * rate, attack.length - first, body.length - behind);
  const end = Math.round(longest);
  const count = Math.min(Math.round(SEAM * rate), end);
  const start = first + end - count;
  const seam = attack.subarray(start, start + count);
  const { at, turn } = fitting(seam, body, behind + end - count, Math.round(SHIFT * rate));
  const made = new Float32Array(start + body.length - at);
  made.set(attack.subarray(0, start));
  body.subarray(at).forEach((value, i) => {
    const share = i < count ? Math.sin((Math.PI / 2) * ((i + 0.5) / count)) ** 2 : 1;
    made[start + i] = (1 - share) * (seam[i] ?? 0) + share * turn * value;
  });
  const peak = Math.max(1, peakOf(made));
  return made.map((value) => value / peak);
};

const resampled = async (samples, from, to) => {
  if (from === to) return samples;
  const context = new OfflineAudioContext(1, Math.ceil((samples.length * to) / from), to);
  const buffer = context.createBuffer(1, samples.length, from);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
};

// The engine that map.js draws, from the page's content.
export function engineOf(content) {
  const { title, rate, names, labels, classes, regions, spans, usual } = content;
  const count = names.length;
  const [points, seconds, begins, peaks] = ["points", "seconds", "begins", "peaks"].map((name) =>
    numbers(content[name]),
  );
  const features = Object.fromEntries(
    Object.entries(content.features).map(([name, values]) => [name, numbers(values)]),
  );
  const guess = { ...content.guess, values: numbers(content.guess.values) };
  const [short, level, latent] = [shortTime(content.frames), envelope(content.level), code(content, count)];
  const sound = player(content);

  const around = (x, y) => {
    const away = (i) => {
      const [across, up] = [points[2 * i] - x, points[2 * i + 1] - y];
      return Math.hypot(across, up) < HERE ? 0 : Math.hypot(across * spans[0], up * spans[1]);
    };
    return shared(nearest(Float64Array.from({ length: count }, (_, i) => away(i)), AROUND + 1));
  };

  // What the shading says of a place, between the middles of its cells.
  const guessed = (x, y) => {
    const cell = (value, cells) => Math.min(Math.max(((value + 0.15) / 1.3) * cells - 0.5, 0), cells - 1);
    const [column, row] = [cell(x, guess.width), cell(y, guess.height)];
    const at = (r, c) =>
      guess.values[Math.min(r, guess.height - 1) * guess.width + Math.min(c, guess.width - 1)];
    const [c, r] = [Math.floor(column), Math.floor(row)];
    const along = (line) => at(line, c) + (column - c) * (at(line, c + 1) - at(line, c));
    return (along(r) + (row - r) * (along(r + 1) - along(r))) / 255;
  };

  // A recorded sound with another envelope: so much in dB more or less of each band and segment.
  const turned = (samples, change, start) => {
    const pad = (short.hop - (start % short.hop)) % short.hop; // it begins in the middle of a frame
    const mean = samples.reduce((sum, value) => sum + value, 0) / samples.length;
    const wave = new Float32Array(pad + samples.length);
    samples.forEach((value, i) => (wave[pad + i] = value - mean));
    const gains = level
      .frames(change, short.frames(wave), (start + pad) / short.hop)
      .map((gain) => Math.min(Math.max(gain, LEAST_DB), MOST_DB));
    const made = short.turned(wave, gains).subarray(pad);
    highPassed(made, rate);
    const fade = Math.min(Math.round(FADE * rate), made.length);
    const rise = Math.min(fade, start);
    for (let i = 0; i < fade; i++) made[made.length - 1 - i] *= i / Math.max(1, fade - 1);
    for (let i = 0; i < rise; i++) made[i] *= i / Math.max(1, rise - 1);
    return made;
  };

  // The envelope of a mixture, the largest share first, in one sound of it.
  const mixture = async (terms, again, z) => {
    const lender = terms[again % terms.length].index;
    const { samples } = await sound(lender);
    const own = latent.of(lender);
    const told = { rate, lender, nearest: terms };
    if (z.every((value, d) => value === own[d])) return { samples, ...told };
    const sizes = terms.map(({ weight }) => Math.abs(weight));
    const sum = (values) => values.reduce((all, value) => all + value, 0);
    const peak = sum(terms.map(({ index }, i) => sizes[i] * peaks[index])) / sum(sizes);
    const made = turned(samples, latent.change(own, z), Math.round(begins[lender] * rate));
    const gain = peak / peakOf(made);
    return { samples: made.map((value) => value * gain), ...told };
  };
  const distant = (terms, [x, y]) =>
    terms.map((term) => ({
      ...term, distance: Math.hypot(points[2 * term.index] - x, points[2 * term.index + 1] - y),
    })); // prettier-ignore

  const make = async (x, y, again = 0) => {
    const terms = distant(around(x, y), [x, y]);
    return { ...(await mixture(terms, again, latent.mixed(terms))), guess: guessed(x, y) };
  };

  // The place of a mixture and how much of a guess it is follow from the sounds that are like it.
  const combine = async (terms) => {
    const weights = new Map();
    const add = (index, weight) => weights.set(index, (weights.get(index) ?? 0) + weight);
    for (const { index, x, y, weight } of terms)
      for (const part of index === undefined ? around(x, y) : [{ index, weight: 1 }])
        add(part.index, weight * part.weight);
    const mixed = Array.from(weights, ([index, weight]) => ({ index, weight }));
    if (!mixed.some(({ weight }) => weight)) throw Error("There is nothing to mix: all weights are 0.");
    mixed.sort((a, b) => b.weight - a.weight);
    const z = latent.mixed(mixed);
    const beside = nearest(latent.away(z), BESIDE + 1);
    const place = [0, 1].map((axis) =>
      shared(beside).reduce((sum, { index, weight }) => sum + weight * points[2 * index + axis], 0),
    );
    const { distance } = beside[Math.min(BESIDE, count) - 1];
    const made = await mixture(distant(mixed, place), 0, z);
    return { ...made, guess: 1 - 1 / (1 + (distance / (FAR * usual)) ** 2) };
  };

  // The attack of one sound or place on the body of another, and how much of the time each is heard.
  const graft = async (...terms) => {
    const heard = async ({ index, x, y }) => {
      if (index === undefined) return make(x, y);
      return { ...(await sound(index)), lender: index, nearest: [{ distance: 0 }], guess: 0 };
    };
    const both = await Promise.all(terms.map(heard));
    const [attack, body] = both;
    const [samples, first] = [grafted(attack.samples, body.samples, rate), onset(attack.samples)];
    const until = Math.min(ATTACK * rate, attack.samples.length - first);
    const share = Math.min(1, until / (samples.length - first));
    const found = both.map(({ lender, nearest: [{ distance }] }, i) =>
      ({ index: lender, distance, weight: i ? 1 - share : share })); // prettier-ignore
    const guessing = Math.max(attack.guess, body.guess);
    return { samples, rate, lender: body.lender, nearest: found, guess: guessing };
  };

  const similar = async (samples, from, k) => {
    const heard = await resampled(samples, from, rate);
    const [first, peak] = [onset(heard), peakOf(heard)];
    const seen = heard.subarray(first, first + short.size + Math.floor(content.level.seconds * rate));
    const bands = short.bands(seen.map((value) => value / peak));
    return nearest(latent.away(latent.encode(level.levels(bands))), k);
  };
  return {
    count, rate, title, points, names, labels, classes, seconds, features, regions, guess, sound,
    make, combine, graft, similar,
  }; // prettier-ignore
}
