/** The model that encodes unless another is named: eye. */
export const DEFAULT = "cc455c78";

/** Slim weights that are known: SHA-256 by the identity of the model (8 hexadecimal digits). */
export const KNOWN: Record<string, string> = {
  cc455c78: "50ec6e5738b26e9f72cb31917116a55f9a96c0550a6de3a8ad524f5950297951", // eye
  "2341a3a8": "bd49bd049285dcbcc0bff9fd7fd5f094798f609b8c707e0fb07c0f10c2211e50", // fast, earlier
  "9e966cdd": "05867b523f4936115d5a84e559d91739483023a3d3d8e7ee1f864ce1b767e0af", // fast-ms-ssim, earlier
};

/** What people call models. */
export const NAMES: Record<string, string> = { cc455c78: "eye", "2341a3a8": "fast", "9e966cdd": "fast-ms-ssim" };
