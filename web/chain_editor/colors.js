/** The colours of masks, as in `got_models/chain/chain.py`. */

/** Colours for boxes that come without one, in this order. */
export const MASK_COLORS = `
    red green blue yellow magenta cyan orange purple lime pink brown white teal gold violet olive
    salmon turquoise maroon skyblue gray springgreen chocolate royalblue khaki crimson orchid steelblue tomato
    yellowgreen indigo tan deeppink lavender forestgreen coral darkviolet aquamarine sienna hotpink dodgerblue
    goldenrod seagreen plum slateblue limegreen rosybrown beige deepskyblue firebrick lightgreen cadetblue
    mediumvioletred peru silver cornflowerblue olivedrab sandybrown thistle darkcyan indianred mediumpurple
    wheat powderblue`.trim().split(/\s+/);

const NAMES = new Set(`
    aliceblue antiquewhite aquamarine azure beige bisque black blanchedalmond blue blueviolet brown burlywood
    cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod
    darkgray darkgreen darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon darkseagreen
    darkslateblue darkslategray darkturquoise darkviolet deeppink deepskyblue dimgray dodgerblue firebrick
    floralwhite forestgreen gainsboro ghostwhite gold goldenrod gray green greenyellow honeydew hotpink indianred
    indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon lightblue lightcoral lightcyan
    lightgoldenrodyellow lightgray lightgreen lightpink lightsalmon lightseagreen lightskyblue lightslategray
    lightsteelblue lightyellow lime limegreen linen magenta maroon mediumaquamarine mediumblue mediumorchid
    mediumpurple mediumseagreen mediumslateblue mediumspringgreen mediumturquoise mediumvioletred midnightblue
    mintcream mistyrose moccasin navajowhite navy oldlace olive olivedrab orange orangered orchid palegoldenrod
    palegreen paleturquoise palevioletred papayawhip peachpuff peru pink plum powderblue purple rebeccapurple red
    rosybrown royalblue saddlebrown salmon sandybrown seagreen seashell sienna silver skyblue slateblue slategray
    snow springgreen steelblue tan teal thistle tomato turquoise violet wheat white whitesmoke yellow
    yellowgreen`.trim().split(/\s+/));

/** @param {string} name */
export function isColor(name) {
    return NAMES.has(spelling(name));
}

/**
 * The mask colours that look like none of those taken.
 * @param {readonly string[]} taken
 * @returns {string[]}
 */
export function freeColors(taken) {
    const spelled = new Set(taken.map(spelling));
    return MASK_COLORS.filter((name) => !spelled.has(name));
}

/**
 * One name for each colour: some have two.
 * @param {string} name
 */
export function spelling(name) {
    const gray = name.replace("grey", "gray");
    return { aqua: "cyan", fuchsia: "magenta" }[gray] ?? gray;
}
