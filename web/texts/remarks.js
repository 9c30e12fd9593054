/**
 * What the editor says of a plan that cannot be read or changed, and of a prompt that cannot follow it: in other languages,
 * by the English sentence, with {} for each of its values.
 */

/** @type {Record<string, Record<string, string>>} */
export const REMARKS = {
    zh: {
        "'{}' is locked. Unlock it first.": "“{}”已锁定。请先解锁。",
        "The plan cannot be changed at the moment.": "现在不能修改计划。",
        "The phrase is empty. Give the region a few words.": "文字是空的。请给这个框写几个字。",
        "A phrase must not contain line breaks, boxes or markup.": "框的文字里不能有换行、框或标记。",
        "The text would be read back with other words for its boxes. Use simpler words.": "这样写，框会对应到别的文字。请用更简单的说法。",
        "A chain holds at most {} boxes.": "一个计划最多有 {} 个框。",
        "A chain holds at most {} boxes. Remove one first.": "一个计划最多有 {} 个框。请先删除一个。",
        "The prompt must not contain the special token '{}'.": "提示词里不能有特殊标记“{}”。",
        "The special token '{}' is not allowed in a chain.": "计划里不能有特殊标记“{}”。",
        "{} without a readable box: expected {}(x1,y1),(x2,y2){}.": "{} 没有可读的框：应为 {}(x1,y1),(x2,y2){}。",
        "{} that does not mark a phrase directly before a box.": "{} 标记的文字后面没有紧跟着框。",
        "Expected (x1,y1),(x2,y2) between {} and {}.": "{} 和 {} 之间应为 (x1,y1),(x2,y2)。",
        "Box coordinates must be whole numbers, thousandths of the picture.": "框的坐标必须是整数，以画面的千分之一计。",
        "Box coordinates must be in 0 to {}.": "框的坐标必须在 0 到 {} 之间。",
        "The box has no area.": "框没有面积。",
        "The box has its corners swapped: expected top-left, then bottom-right.": "框的两个角写反了：应先左上角，再右下角。",
        "Unknown colour name '{}' after a box.": "框后面的颜色名“{}”无法识别。",
        "Another box already has the colour '{}'.": "另一个框已经用了颜色“{}”。",
        "'{}' looks like coordinates, but is not read: it makes no box. Write (x1,y1),(x2,y2) in thousandths of the picture, right after the words that it belongs to.":
            "“{}”看起来像坐标，但没有读成框。请把 (x1,y1),(x2,y2) 以画面的千分之一写在所属文字的后面。",
        "'{}' looks like coordinates, but is not read: it makes no box. Write (x1,y1),(x2,y2) in thousandths of the picture, right after the words that it belongs to. There are {} more like it.":
            "“{}”看起来像坐标，但没有读成框。请把 (x1,y1),(x2,y2) 以画面的千分之一写在所属文字的后面。另外还有 {} 处。",
        "The prompt does not name {}: it is left unchanged.": "提示词里没有提到 {}：它保持原样。",
        "The instruction does not say what to do with {}. Add it by hand.": "指令没有说明要对 {} 做什么。请手动补上。",
        "The prompt says {}, which cannot be changed by itself. Fix it by hand.": "提示词里的 {} 无法自动修改。请手动修改。",
        "The prompt still names {}, which its sentence needs. Fix it by hand.": "提示词里还有 {}，句子离不开它。请手动修改。",
        "The prompt still says '{}'. Change it by hand if it should change too.": "提示词里还是“{}”。如果也要改，请手动修改。",
    },
};

/**
 * @param {string} sentence in English
 * @param {string} language
 */
export function remarkIn(sentence, language) {
    for (const [english, translated] of Object.entries(REMARKS[language] ?? {})) {
        const values = patternOf(english).exec(sentence)?.slice(1);
        if (values) return translated.replaceAll("{}", () => values.shift() ?? "");
    }
    return sentence;
}

/** @param {string} english */
function patternOf(english) {
    const parts = english.split("{}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join("(.*?)")}$`, "s");
}
