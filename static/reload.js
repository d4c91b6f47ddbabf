// Reloads the page once a new process serves it. `cargo dev --watch` adds this script to all pages. Its address contains
// the hash for the process that rendered the page.
const { src } = document.currentScript;
const timer = setInterval(async () => {
  const { headers } = await fetch(src, { method: "HEAD", cache: "no-store" });
  const isSame = headers.get("etag").includes(new URL(src).searchParams.get("v"));
  if (!isSame && (await fetch("/health/ready")).ok) {
    clearInterval(timer);
    location.reload();
  }
}, 500);
