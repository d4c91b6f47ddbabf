// Counts down until the session expires, shows local times, and adds copy buttons. The pages also work
// without this script.
function countDown(life) {
  const bar = document.getElementById("left");
  const words = document.getElementById("in");
  // The server sends seconds, not a time, because the visitor's clock may be wrong.
  const end = Date.now() + life.dataset.seconds * 1000;

  function tick() {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000));
    bar.value = left;
    const parts = [[Math.floor(left / 3600), "h"], [Math.floor(left / 60) % 60, "m"], [left % 60, "s"]];
    words.textContent = parts.filter(([count]) => count > 0).map(([count, unit]) => count + unit).join(" ");
    if (left > 0) return;
    clearInterval(timer);
    life.firstElementChild.textContent = "Your session has expired. Your next visit starts a new one.";
  }

  const timer = setInterval(tick, 1000);
}

const life = document.querySelector("[data-seconds]");
if (life) countDown(life);

for (const time of document.querySelectorAll(".clocks time")) {
  const local = document.createElement("span");
  local.textContent = new Date(time.dateTime).toLocaleTimeString() + " local time";
  time.after(local);
}

// The cookie has no button, because it is shortened.
for (const code of document.querySelectorAll("main pre:not(.sent) > code")) {
  const button = document.createElement("button");
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    // Browsers allow this only over HTTPS and on localhost.
    await navigator.clipboard?.writeText(code.textContent);
    button.textContent = navigator.clipboard ? "Copied" : "Select the text to copy it";
  });
  code.parentElement.after(button);
}
