// What Gradio leaves out for those who do not see the page, or not well: the page's language, names of example pictures,
// a role for what only has a label.
"use strict";
(() => {
  document.documentElement.lang = "en";
  // Of the file, but for the number that tells garments of a kind apart.
  const name = (shown) => decodeURI(shown?.src ?? "").split("/").at(-1).split(".")[0].replace(/_[0-9a-f-]{8,}$/, "").replaceAll("_", " ");
  const mend = () => {
    for (const button of document.querySelectorAll("button.gallery-item")) {
      const label = `Example: ${name(button.querySelector("img, video"))}`;
      if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
    }
    for (const empty of document.querySelectorAll("div.empty[aria-label]:not([role])")) empty.setAttribute("role", "img");
  };
  // A picture may come to its button, or to be another, after the button itself.
  new MutationObserver(mend).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["src"] });
})();
