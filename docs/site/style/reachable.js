// What the theme leaves out for those who read without a mouse: wide tables can be reached and scrolled by keys, and
// landmarks that come several times on a page have names of their own.
function reachable() {
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((one, i) => {
    one.tabIndex = 0;
    one.setAttribute("role", "region");
    one.setAttribute("aria-label", `Table ${i + 1}`);
  });
  document.querySelectorAll("nav.md-code__nav").forEach((one, i) => one.setAttribute("aria-label", `Code ${i + 1}`));
  document.querySelectorAll("nav.md-nav[aria-labelledby]").forEach((one) => {
    const label = document.getElementById(one.getAttribute("aria-labelledby"));
    one.setAttribute("aria-label", `Pages: ${label ? label.textContent.trim() : "all"}`);
    one.removeAttribute("aria-labelledby");
  });
}
new MutationObserver(reachable).observe(document.documentElement, { childList: true, subtree: true });
reachable();
