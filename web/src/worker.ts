/** The script of a worker. */
import { serve } from "./serve.js";

export type { Answer, Order } from "./serve.js";

serve();
