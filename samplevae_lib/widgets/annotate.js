(root) => {
  const { names, classes, colours, points, prior, given, ends, weights, waves, sounds, ...rest } =
    JSON.parse(root.dataset.all);
  const { alpha, trust, rounds } = rest.spreading;
  const MARGIN = 14; // pixels around the map
  const REACH = 24; // pixels from a click to the point it means
  const [map, wave, name, belief, count, output, player] = [
    ".sv-points", ".sv-wave", "b", ".sv-belief", ".sv-counts", "output", "audio",
  ].map((part) => root.querySelector(part));
  const log = [...rest.log];
  let saved = log.length; // entries that are in a file
  let labels = []; // the class of each sound, or −1
  let shares = []; // what the map believes: of each sound, the share of every class
  let current = -1; // the sound at hand; −1 when all are labelled

  // The entries that still hold, and the one that the last entry took back, if it is an undo.
  const holding = () => {
    const left = [];
    let back = null;
    for (const entry of log) {
      back = entry.do === "undo" ? left.pop() : null;
      if (!back) left.push(entry);
    }
    return { left, back };
  };

  // Label spreading: each round every sound takes from its neighbours and recalls its own start.
  const spread = () => {
    const width = classes.length;
    const start = prior.flatMap((row, i) =>
      row.map((share, c) => (labels[i] < 0 ? trust * share : Number(c === labels[i]))),
    );
    let now = Float64Array.from(start);
    for (let round = 0; round < rounds; round++) {
      const next = Float64Array.from(start, (value) => (1 - alpha) * value);
      weights.forEach((weight, edge) => {
        const [a, b] = [ends[0][edge] * width, ends[1][edge] * width];
        for (let c = 0; c < width; c++) {
          next[a + c] += alpha * weight * now[b + c];
          next[b + c] += alpha * weight * now[a + c];
        }
      });
      now = next;
    }
    return prior.map((_, i) => {
      if (labels[i] >= 0) return classes.map((_, c) => Number(c === labels[i]));
      const row = now.subarray(i * width, (i + 1) * width);
      const sum = row.reduce((all, value) => all + value);
      return Array.from(row, (value) => value / sum);
    });
  };

  const ranked = (row) => row.map((_, c) => c).sort((a, b) => row[b] - row[a] || a - b);
  const sure = (i) => Math.max(...shares[i]);

  // The sound that was skipped least, among those the one whose two best classes are closest.
  const suggestion = (skips) => {
    const margin = (row) => row[ranked(row)[0]] - row[ranked(row)[1]];
    const open = names.flatMap((name, i) =>
      labels[i] < 0 ? [[skips.get(name) ?? 0, margin(shares[i]), i]] : [],
    );
    return open.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2])[0]?.[2] ?? -1;
  };

  // Everything follows from the log, so that the same log always leads to the same state.
  const settle = () => {
    const place = new Map(names.map((name, i) => [name, i]));
    const skips = new Map();
    labels = [...given];
    const { left, back } = holding();
    for (const entry of left) {
      if (entry.do === "skip") skips.set(entry.sound, (skips.get(entry.sound) ?? 0) + 1);
      else labels[place.get(entry.sound)] = classes.indexOf(entry.class);
    }
    shares = spread();
    current = back ? place.get(back.sound) : suggestion(skips);
    show();
  };

  // Drawing.

  const sheet = (canvas) => {
    const { clientWidth: width, clientHeight: height } = canvas;
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    const pen = canvas.getContext("2d");
    pen.scale(devicePixelRatio, devicePixelRatio);
    return { pen, width, height };
  };

  const spot = (i) => {
    const side = map.clientWidth - 2 * MARGIN;
    return [MARGIN + points[i][0] * side, MARGIN + (1 - points[i][1]) * side];
  };

  const draw = () => {
    const { pen } = sheet(map);
    const circle = (i, radius) => {
      pen.beginPath();
      pen.arc(...spot(i), radius, 0, 2 * Math.PI);
    };
    const dot = (i) => {
      pen.globalAlpha = 0.2 + 0.8 * sure(i) ** 2;
      pen.fillStyle = colours[ranked(shares[i])[0]];
      circle(i, 4);
      pen.fill();
      pen.globalAlpha = 1;
      pen.lineWidth = 0.4;
      pen.stroke();
      if (labels[i] < 0) return;
      pen.lineWidth = 1.4;
      circle(i, 6);
      pen.stroke();
    };
    names.forEach((_, i) => dot(i));
    for (const [thick, ink] of current < 0 ? [] : [[6, "#fff"], [3, "#000"]]) {
      [pen.lineWidth, pen.strokeStyle] = [thick, ink];
      circle(current, 9);
      pen.stroke();
    }

    const { pen: ink, width, height } = sheet(wave);
    const columns = waves[current] ?? "";
    ink.fillStyle = colours[0];
    [...columns].forEach((peak, i) => {
      const tall = Math.max(1, (parseInt(peak, 36) / 35) * height);
      ink.fillRect((i * width) / columns.length, (height - tall) / 2, width / columns.length, tall);
    });
  };

  const percent = (share) => `${Math.round(100 * share)} %`;

  const show = () => {
    const row = shares[current] ?? [];
    name.textContent = names[current] ?? "All sounds are labelled.";
    const best = ranked(row).slice(0, 3).map((c) => {
      const line = document.createElement("div");
      const [text, bar] = ["span", "i"].map((kind) => document.createElement(kind));
      text.textContent = `${percent(row[c])} ${classes[c]}`;
      bar.style.cssText = `flex: 0 0 ${60 * row[c]}%; background: ${colours[c]}`;
      line.append(text, bar);
      return line;
    });
    belief.replaceChildren(...best);
    const done = labels.filter((label) => label >= 0).length;
    const mean = names.reduce((sum, _, i) => sum + sure(i), 0) / names.length;
    count.textContent = `${done} of ${names.length} labelled · mean certainty ${percent(mean)}`;
    root.state = { log, labels, shares, current };
    draw();
  };

  // What a person does.

  const say = (text) => void (output.textContent = text);

  const play = () => {
    player.pause();
    if (current < 0) return;
    player.src = sounds[current];
    player.play().catch((error) => {
      if (error.name !== "AbortError") say(`${names[current]} cannot be played: ${error.message}`);
    });
  };

  const choose = (i) => {
    current = i;
    show();
    play();
  };

  const enter = (entry, text) => {
    log.push(entry);
    settle();
    say(`${text}. Now: ${names[current] ?? "all are labelled"}`);
    play();
  };

  const label = (c) => {
    const entry = { do: "label", sound: names[current], class: classes[c] };
    if (current >= 0) enter(entry, `${entry.class}: ${entry.sound}`);
  };

  const skip = () => {
    if (current >= 0) enter({ do: "skip", sound: names[current] }, `skipped: ${names[current]}`);
  };

  const undo = () => {
    const last = holding().left.at(-1);
    if (last) enter({ do: "undo" }, `undone: ${last.class ?? "skip"}`);
    else say("There is nothing to undo.");
  };

  const save = (file, kind, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    saved = log.length;
    say(`Saved as ${file}.`);
  };

  // RFC 4180: quotes where they are needed, doubled inside.
  const table = () => {
    const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const heard = new Set(holding().left.flatMap((entry) => (entry.class ? [entry.sound] : [])));
    const lines = names.map((file, i) => {
      const by = heard.has(file) ? "ear" : labels[i] < 0 ? "map" : "given";
      return [file, classes[ranked(shares[i])[0]], by, sure(i).toFixed(4)];
    });
    return [["file", "class", "by", "certainty"], ...lines]
      .map((line) => `${line.map(quoted).join(",")}\r\n`)
      .join("");
  };

  const csv = () => save("labels.csv", "text/csv", table());
  const json = () => save("log.json", "application/json", JSON.stringify(log, null, 1));
  const acts = {
    p: play, " ": play, s: skip, arrowright: skip, u: undo, backspace: undo, e: csv, l: json,
    ...Object.fromEntries(classes.map((_, c) => [c + 1, () => label(c)])),
  };

  root.addEventListener("keydown", (event) => {
    const { key, code, ctrlKey, metaKey, altKey, repeat, target } = event;
    if (target.tagName === "BUTTON" && [" ", "Enter"].includes(key)) return; // presses the button
    const digit = code.replace(/^Digit|^Numpad/, ""); // some keyboards need a shift for digits
    const plain = acts[key.toLowerCase()] ?? acts[digit];
    const act = ctrlKey || metaKey ? { z: undo }[key] : plain;
    if (!act || altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (!repeat) act();
  });
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) acts[button.dataset.key]();
    if (event.target === map) {
      const [x, y] = [event.offsetX, event.offsetY];
      const away = points.map((_, i) => Math.hypot(spot(i)[0] - x, spot(i)[1] - y));
      const nearest = away.indexOf(Math.min(...away));
      if (away[nearest] <= REACH) choose(nearest);
    }
    // After a click the keys mean the widget again: a space would press the same button once more.
    if (event.detail) root.focus({ preventScroll: true });
  });
  window.addEventListener("beforeunload", (event) => {
    if (root.isConnected && log.length > saved) event.preventDefault();
  });
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "label sounds by ear: keys 1 to 9, p play, s skip, u undo");
  say("Play with p or space, label with 1 to 9.");
  settle();
  new ResizeObserver(draw).observe(map);
}
