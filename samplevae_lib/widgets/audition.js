(root) => {
  const cards = [...root.querySelectorAll(".sv-card")].map((card) => ({
    card,
    player: card.querySelector("audio"),
    picture: card.querySelector(".sv-picture"),
    cursor: card.querySelector(".sv-cursor"),
  }));
  const button = root.querySelector(".sv-switch");
  // The players that the switch runs side by side: one of them is heard, the other is muted.
  const paired = new Set();
  let heard = 0;

  const hear = (which) => {
    heard = which;
    cards.forEach(({ card, player }, position) => {
      player.muted = paired.has(player) && position !== which;
      card.classList.toggle("sv-heard", position === which);
    });
    if (button) button.textContent = `A/B: ${cards[which].card.querySelector("b").textContent}`;
  };

  const alone = (which) => {
    paired.clear();
    cards.forEach(({ player }, position) => position !== which && player.pause());
    hear(which);
  };

  // When nothing plays any more nobody is muted, so that every player works on its own again.
  const rest = () => {
    paired.clear();
    cards.forEach(({ card, player }) => {
      player.muted = false;
      card.classList.remove("sv-heard");
    });
    if (button) button.textContent = "A/B";
  };

  // A start that the browser refuses, or that the next click overtakes, leaves no trace.
  const settle = () => {
    cards.forEach(({ player }) => player.paused && paired.delete(player));
    if (cards.every(({ player }) => player.paused)) rest();
  };

  // The browser tells of a start or a stop a little later: by then it may be out of date.
  cards.forEach(({ player }, position) => {
    player.addEventListener("play", () => {
      if (!player.paused && !paired.has(player)) alone(position);
    });
    player.addEventListener("pause", () => {
      if (!player.paused) return;
      // Whoever stops the one that is heard means both.
      const both = paired.has(player) && position === heard && !player.ended;
      if (both) cards.forEach((other) => other.player.pause());
      settle();
    });
  });

  cards.forEach(({ player, picture, cursor }, position) => {
    if (!picture) return;
    // A click plays from where it falls; the keyboard has no place, so it plays from the start.
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      const share = event.detail ? (event.clientX - box.left) / box.width : 0;
      player.currentTime = share * (player.duration || 0);
      alone(position);
      player.play().catch(settle);
    });
    const follow = () => {
      cursor.style.left = `${(100 * player.currentTime) / (player.duration || 1)}%`;
      cursor.style.visibility = player.paused ? "hidden" : "visible";
      if (!player.paused) requestAnimationFrame(follow);
    };
    player.addEventListener("play", follow);
    player.addEventListener("pause", follow);
  });

  // Both sounds run at once and only one is heard, so the switch keeps the place.
  const join = (player, place) => {
    if (place >= player.duration) return; // the shorter of the two is over
    paired.add(player);
    if (player.paused || Math.abs(player.currentTime - place) > 0.05) player.currentTime = place;
    player.play().catch(settle);
  };
  button?.addEventListener("click", () => {
    const running = [cards[heard], ...cards].find(({ player }) => !player.paused);
    const place = running ? running.player.currentTime : 0;
    cards.forEach(({ player }) => join(player, place));
    hear(running ? 1 - heard : heard);
  });
}
