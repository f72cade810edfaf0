// The engine of a map in a page of its own: it finds, makes and compares sounds without a kernel,
// from what map_page.py put into the page. The numbers are those that Python gives.

const AROUND = 20; // sounds that make up a place
const [LEAST_DB, MOST_DB] = [-60, 40]; // how far a band is turned down or up
const LEAST = 1e-9; // magnitude below which no band is told from silence
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
  const window = Float64Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
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
  return { frames, bands, turned };
};

// Levels of mel bands in segments that grow longer. edges: the first frame of each, and the end.
const envelope = ({ edges, floor, bands }) => {
  const count = edges.length - 1;
  const middles = edges.slice(1).map((end, s) => (edges[s] + end - 1) / 2);

  // (bands, segments) → frames of bands, on straight lines between the segments' middles.
  const frames = (segments, length) => {
    const found = new Float32Array(length * bands);
    for (let frame = 0, s = 0; frame < length; frame++) {
      while (s < count - 2 && frame > middles[s + 1]) s++;
      const share = (frame - middles[s]) / (middles[s + 1] - middles[s]);
      const part = Math.min(Math.max(share, 0), 1);
      for (let band = 0; band < bands; band++) {
        const at = band * count + s;
        found[frame * bands + band] = (1 - part) * segments[at] + part * segments[at + 1];
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
  // How far all sounds are from a latent, in dB.
  const away = (z) =>
    Float64Array.from({ length: count }, (_, index) =>
      Math.sqrt(scale.reduce((sum, s, d) => sum + (s * (z[d] - rows[d * count + index])) ** 2, 0)),
    );
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

const resampled = async (samples, from, to) => {
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
  const { title, rate, names, labels, classes, regions, spans, level } = content;
  const count = names.length;
  const [points, seconds] = [numbers(content.points), numbers(content.seconds)];
  const features = Object.fromEntries(
    Object.entries(content.features).map(([name, values]) => [name, numbers(values)]),
  );
  const guess = { ...content.guess, values: numbers(content.guess.values) };
  const [frames, levels, latent] = [shortTime(content.frames), envelope(level), code(content, count)];
  const sound = player(content);

  const around = (x, y, k) => {
    const away = (i) => Math.hypot((points[2 * i] - x) * spans[0], (points[2 * i + 1] - y) * spans[1]);
    return nearest(Float64Array.from({ length: count }, (_, i) => away(i)), k);
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

  // The envelope of a mixture, the largest share first, with the detail of one sound in it.
  const mixture = async (terms, again, place) => {
    const lender = terms[again % terms.length].index;
    const { samples } = await sound(lender);
    const change = latent.change(latent.of(lender), latent.mixed(terms));
    const gains = levels
      .frames(change, frames.frames(samples))
      .map((gain) => Math.min(Math.max(gain, LEAST_DB), MOST_DB));
    return { samples: frames.turned(samples, gains), rate, lender, nearest: terms, guess: guessed(...place) };
  };
  const make = (x, y, again = 0) => mixture(shared(around(x, y, AROUND + 1)), again, [x, y]);

  const combine = (terms) => {
    const weights = new Map();
    const add = (index, weight) => weights.set(index, (weights.get(index) ?? 0) + weight);
    for (const { index, x, y, weight } of terms)
      if (index !== undefined) add(index, weight);
      else for (const each of shared(around(x, y, AROUND + 1))) add(each.index, weight * each.weight);
    const sum = (axis) =>
      [...weights].reduce((all, [index, weight]) => all + weight * points[2 * index + axis], 0);
    const place = [sum(0), sum(1)];
    const away = new Map(around(...place, count).map(({ index, distance }) => [index, distance]));
    const mixed = [...weights].map(([index, weight]) => ({ index, weight, distance: away.get(index) }));
    return mixture(mixed.sort((a, b) => b.weight - a.weight), 0, place);
  };

  const similar = async (samples, from, k) => {
    const heard = from === rate ? samples : await resampled(samples, from, rate);
    return nearest(latent.away(latent.encode(levels.levels(frames.bands(heard)))), k);
  };
  return {
    count, rate, title, points, names, labels, classes, seconds, features, regions, guess, sound,
    make, combine, similar,
  }; // prettier-ignore
}
