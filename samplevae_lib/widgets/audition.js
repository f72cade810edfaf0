(root) => {
  const cards = [...root.querySelectorAll(".sv-card")].map((card) => ({
    card,
    player: card.querySelector("audio"),
    picture: card.querySelector(".sv-picture"),
    cursor: card.querySelector(".sv-cursor"),
  }));

  const silenceOthers = (kept) =>
    cards.forEach(({ player }) => player !== kept && !player.muted && player.pause());

  cards.forEach(({ player, picture, cursor }) => {
    player.addEventListener("play", () => {
      if (!player.muted) silenceOthers(player);
    });
    if (!picture) return;
    // A click plays from where it falls; the keyboard has no place, so it plays from the start.
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      const share = event.detail ? (event.clientX - box.left) / box.width : 0;
      player.currentTime = share * (player.duration || 0);
      player.muted = false;
      player.play();
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
  const button = root.querySelector(".sv-switch");
  if (!button) return;
  let heard = 0;
  const hear = (which) => {
    heard = which;
    cards.forEach(({ card, player }, position) => {
      player.muted = position !== which;
      card.classList.toggle("sv-heard", position === which);
    });
    button.textContent = `A/B: ${cards[which].card.querySelector("b").textContent}`;
  };
  button.addEventListener("click", () => {
    const playing = cards.some(({ player }) => !player.paused);
    const place = playing ? cards[heard].player.currentTime : 0;
    hear(playing ? 1 - heard : heard);
    cards.forEach(({ player }) => {
      player.currentTime = Math.min(place, player.duration || 0);
      player.play();
    });
  });
}
