/** Texts in the language that ComfyUI is set to. */

import { app } from "../../scripts/app.js";

/**
 * @param {Record<string, string>} texts by language; where the right one is missing, English serves
 * @returns {string}
 */
export function inLanguage(texts) {
    const [language] = String(app.extensionManager.setting.get("Comfy.Locale") ?? "en").split("-");
    return Object.hasOwn(texts, language) ? texts[language] : texts.en;
}
