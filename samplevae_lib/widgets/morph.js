(root) => {
  const FADE = 0.005; // seconds; after three of them a change of sound is 95 % done
  const LEAD = 0.03; // seconds from a click to what it changes: more than the browser computes ahead
  const TONE = 0.3; // a steady tone at full scale would be deafening
  const MARGIN = { left: 48, right: 24, top: 10, bottom: 36 };
  const [canvas, slider, button, text] = ["canvas", "input", "button", "output"].map((name) =>
    root.querySelector(name),
  );
  const [rate, count, repeat] = ["rate", "count", "repeat"].map((name) =>
    Number(root.dataset[name]),
  );
  const [colour, ...endColours] = root.dataset.colours.split(" ");
  const loop = repeat > 1;

  const packed = Uint8Array.from(atob(root.dataset.samples), (byte) => byte.charCodeAt(0));
  const samples = new DataView(packed.buffer);
  const length = packed.length / 2 / count;
  // Steps are counted from 1, as the slider does.
  const wave = (step) =>
    Float32Array.from(
      { length },
      (_, i) => samples.getInt16(2 * ((step - 1) * length + i), true) / 32767,
    );
  const ends = [wave(1), wave(count)];
  let current = ends[0];

  // Drawing.

  // Round numbers from 0 to the end, so few that they stand apart.
  const ticks = (end, width) => {
    const least = (60 * end) / width;
    const power = 10 ** Math.floor(Math.log10(least));
    const apart = power * [1, 2, 5, 10].find((times) => times * power >= least);
    return Array.from({ length: Math.floor(end / apart + 1e-6) + 1 }, (_, i) => i * apart);
  };

  const axes = (pen, { x, y, right, bottom, milliseconds, columns }) => {
    pen.font = "12px system-ui, sans-serif";
    const level = (value, name) => {
      pen.fillStyle = value ? "#eee" : "#bbb";
      pen.fillRect(MARGIN.left, Math.round(y(value)), right - MARGIN.left, 1);
      pen.fillStyle = "#333";
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      pen.fillText(name, MARGIN.left - 6, y(value));
    };
    [[-1, "−1"], [-0.5, "−0.5"], [0, "0"], [0.5, "0.5"], [1, "1"]].forEach((tick) => level(...tick));
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const time of ticks(milliseconds, columns)) {
      pen.fillRect(Math.round(x(time)), bottom, 1, 4);
      pen.fillText(Number(time.toPrecision(6)), x(time), bottom + 6);
    }
    pen.textBaseline = "bottom";
    pen.fillText("milliseconds", (MARGIN.left + right) / 2, canvas.clientHeight - 2);
  };

  // A long sound has many samples in each column: its lowest and highest are what can be seen.
  const outline = (values, columns) => {
    if (values.length <= 4 * columns) return Array.from(values, (value, i) => [i, value]);
    const points = [];
    for (let column = 0; column < columns; column++) {
      const start = Math.floor((column * values.length) / columns);
      const part = values.subarray(start, Math.floor(((column + 1) * values.length) / columns));
      points.push([start, Math.min(...part)], [start, Math.max(...part)]);
    }
    return points;
  };

  const line = (pen, values, { x, y, columns }, ink, width) => {
    pen.beginPath();
    outline(values, columns).forEach(([i, value]) => pen.lineTo(x((1000 * i) / rate), y(value)));
    pen.strokeStyle = ink;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    pen.stroke();
  };

  const draw = () => {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width) return; // not in sight yet
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    const right = width - MARGIN.right;
    const bottom = height - MARGIN.bottom;
    const milliseconds = (1000 * length) / rate;
    const x = (time) => MARGIN.left + ((right - MARGIN.left) * time) / milliseconds;
    const y = (value) => MARGIN.top + ((bottom - MARGIN.top) * (1.05 - value)) / 2.1;
    const place = { x, y, right, bottom, milliseconds, columns: right - MARGIN.left };
    const pen = canvas.getContext("2d");
    pen.scale(canvas.width / width, canvas.height / height);
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
    axes(pen, place);
    ends.forEach((end, i) => line(pen, end, place, endColours[i], 0.8));
    line(pen, current, place, colour, loop ? 2 : 1);
  };

  const show = () => {
    const step = Number(slider.value);
    current = wave(step);
    root.dataset.step = step;
    const share = Math.round((100 * (step - 1)) / (count - 1));
    text.textContent = `step ${step} of ${count} · ${share} % of the way`;
    slider.setAttribute("aria-valuetext", text.textContent);
    draw();
  };

  // Playing.

  const fading = new Set(); // all that can still be heard
  let context = null;
  let heard = null; // the step that plays
  let watch = 0;
  const soon = () => context.currentTime + LEAD;

  const tell = () => {
    root.dataset.playing = heard !== null;
    button.textContent = heard ? "■ stop" : "▶ play";
    button.setAttribute("aria-label", heard ? "stop" : "play this step");
  };

  const rest = () => {
    heard = null;
    clearInterval(watch);
    tell();
  };

  // Where it begins a tone has to fade in; a recording begins as it was recorded.
  const fadeIn = (begun, at) => {
    const buffer = new AudioBuffer({ length: length * repeat, sampleRate: rate });
    for (let i = 0; i < repeat; i++) buffer.copyToChannel(current, 0, i * length);
    const source = new AudioBufferSourceNode(context, { buffer, loop });
    const level = loop ? TONE : 1;
    const gain = new GainNode(context, { gain: loop || at > begun ? 0 : level });
    source.connect(gain).connect(context.destination);
    gain.gain.setTargetAtTime(level, at, FADE);
    source.start(at, (at - begun) % buffer.duration);
    heard = { source, gain, begun };
    follow(heard);
  };

  const follow = (voice) => {
    fading.add(voice);
    voice.source.addEventListener("ended", () => {
      voice.gain.disconnect();
      fading.delete(voice);
      if (voice === heard) rest();
      if (!fading.size) context.suspend();
    });
  };

  const fadeOut = ({ source, gain }, at) => {
    gain.gain.setTargetAtTime(0, at, FADE);
    source.stop(at + 10 * FADE);
  };

  const play = () => {
    // At the sounds' own rate, so that all resampling is left to the browser's output.
    context ??= new AudioContext({ sampleRate: rate });
    context.resume();
    const at = soon();
    fadeIn(at, at);
    // Whoever runs the cell again takes this one off the page: nobody could stop it then.
    watch = setInterval(() => root.isConnected || stop(), 200);
    tell();
  };

  const stop = () => {
    fadeOut(heard, soon());
    rest();
  };

  // The next step goes on where this one is, in phase with it, so that no fade cancels them out.
  const change = () => {
    const at = soon();
    const { begun } = heard;
    if (!loop && at >= begun + length / rate) return; // as good as over
    fadeOut(heard, at);
    fadeIn(begun, at);
  };

  button.addEventListener("click", () => (heard ? stop() : play()));
  slider.addEventListener("input", () => {
    show();
    if (heard) change();
  });
  // Also told of the page's zoom where the browser can: the drawing stays crisp.
  const watched = new ResizeObserver(draw);
  try {
    watched.observe(canvas, { box: "device-pixel-content-box" });
  } catch {
    watched.observe(canvas);
  }
  show();
  tell();
}
