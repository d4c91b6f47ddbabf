// Counts down the session's life on /visits. The page is whole without it.
const life = document.querySelector("[data-seconds]");
const bar = document.getElementById("left");
const words = document.getElementById("in");
// From the seconds left, not from the time of the end: this computer's clock may be wrong.
const end = Date.now() + life.dataset.seconds * 1000;

function say(n, unit) {
  const text = `${n} ${unit}${n === 1 ? "" : "s"}`;
  if (words.textContent !== text) words.textContent = text;
}

function tick() {
  const left = Math.max(0, Math.round((end - Date.now()) / 1000));
  bar.value = left;
  // Above an hour, the words of the server stand until the hour is reached.
  if (left < 60) say(left, "second");
  else if (left < 3600) say(Math.floor(left / 60), "minute");
  if (left > 0) return;
  clearInterval(timer);
  life.firstElementChild.textContent = "Your session has ended. Your next visit starts a new one.";
}

const timer = setInterval(tick, 1000);
