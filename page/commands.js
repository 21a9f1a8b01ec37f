/** The runbook's commands for what is the matter now, each with a button that copies it. */
/** @import { PageCommand, PageView, Situation } from "../src/page/page-view.ts" */
import { byId, drawWhenChanged, element } from "./dom.js";

const SAID_FOR_MS = 2_000;

/** @param {PageView} view */
export function drawCommands({ guidance }) {
  drawWhenChanged("commands", guidance, () => guidance.map(situation));
}

/** @param {Situation} shown */
function situation({ section, text, commands }) {
  return element(
    "section",
    { class: "situation" },
    element("h3", {}, section),
    element("p", { class: "about" }, text),
    element("ol", { class: "commands" }, ...commands.map((command, i) => item(command, `${section} ${i}`))),
  );
}

/**
 * @param {PageCommand} shown
 * @param {string} key of its button
 */
function item({ member, command }, key) {
  const button = element(
    "button",
    { type: "button", "data-key": key, "aria-label": `Copy for ${member}: ${command}` },
    "Copy",
  );
  // Lines break between words, and not after the hyphens of an option.
  const words = command
    .split(" ")
    .flatMap((word, i) => [i === 0 ? null : " ", element("span", { class: "word" }, word)]);
  const code = element("code", {}, ...words);
  button.addEventListener("click", async () => {
    const isCopied = await copy(command, code);
    button.textContent = isCopied ? "Copied" : "Selected";
    byId("announcer").textContent = isCopied ? "Copied" : "The command is selected: copy it with the keyboard";
    setTimeout(() => {
      button.textContent = "Copy";
    }, SAID_FOR_MS);
  });
  return element("li", {}, element("span", { class: "where" }, `${member} $`), code, button);
}

/**
 * Whether the text is on the clipboard. Browsers give it to pages of HTTPS and of this machine only; elsewhere the text is selected.
 * @param {string} text
 * @param {HTMLElement} shown
 */
async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}
