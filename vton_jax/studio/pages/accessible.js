// What Gradio leaves out for those who do not see the page, or not well: the page's language, names of example pictures,
// a role for what only has a label.
"use strict";
(() => {
  document.documentElement.lang = "en";
  const name = (picture) => picture?.src.split("/").at(-1).split(/[._]/)[0] ?? "";
  const mend = () => {
    for (const button of document.querySelectorAll("button.gallery-item:not([aria-label])"))
      button.setAttribute("aria-label", `Example: ${name(button.querySelector("img"))}`);
    for (const empty of document.querySelectorAll("div.empty[aria-label]:not([role])")) empty.setAttribute("role", "img");
  };
  new MutationObserver(mend).observe(document.documentElement, { childList: true, subtree: true });
})();
