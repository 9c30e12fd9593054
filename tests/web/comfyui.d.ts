/** What ComfyUI serves beside the pack; it comes without types. */

declare module "*/scripts/api.js" {
    export const api: any;
}

declare module "*/scripts/app.js" {
    export const app: any;
}

declare const LiteGraph: any;
