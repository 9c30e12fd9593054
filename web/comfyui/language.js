/** Texts in the language that ComfyUI is set to. */

import { app } from "../../../scripts/app.js";
import { EN } from "../texts/en.js";
import { remarkIn } from "../texts/remarks.js";
import { ZH } from "../texts/zh.js";

/**
 * @template Text
 * @param {Record<string, Text>} texts by language; where the right one is missing, English serves
 * @returns {Text}
 */
export function inLanguage(texts) {
    const language = chosen();
    return Object.hasOwn(texts, language) ? texts[language] : texts.en;
}

/** @param {string} sentence in English, of the editor's own */
export function remarkInLanguage(sentence) {
    return remarkIn(sentence, chosen());
}

function chosen() {
    return String(app.extensionManager.setting.get("Comfy.Locale") ?? "en").split("-")[0];
}

/** What the page's own parts say. ComfyUI opens the workflow anew when its language is changed. */
export function texts() {
    return inLanguage({ en: EN, zh: ZH });
}
