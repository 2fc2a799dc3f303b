// What Gradio leaves out for those who do not see the page, or not well: the page's language, names of example pictures,
// a role for what only has a label.
"use strict";
(() => {
  document.documentElement.lang = "en";
  const name = (shown) => shown?.src.split("/").at(-1).split(".")[0].replace(/_[0-9a-f-]{8,}$/, "").replaceAll("_", " ") ?? "";
  const mend = () => {
    for (const button of document.querySelectorAll("button.gallery-item:not([aria-label])"))
      button.setAttribute("aria-label", `Example: ${name(button.querySelector("img, video"))}`);
    for (const empty of document.querySelectorAll("div.empty[aria-label]:not([role])")) empty.setAttribute("role", "img");
  };
  new MutationObserver(mend).observe(document.documentElement, { childList: true, subtree: true });
})();
