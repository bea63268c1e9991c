/** Correcting events that were let in: taken back, or replaced, by id. */
import { OnefoldError } from "../base/errors.ts";
import type { CorrectionReport, ServePorts } from "./ports.ts";
import { errorSchema, nameSchema, type Route } from "./route.ts";

type Corrections = Parameters<NonNullable<ServePorts["correct"]>>[1];

export function correctionRoutes(ports: ServePorts): Route[] {
  return [
    {
      method: "POST",
      path: "/events/{source}/corrections",
      summary: "Take events back, or others in their place, by id; the answer has one outcome a correction",
      reads: "wide-json",
      schemas: {
        params: { type: "object", properties: { source: nameSchema } },
        body: bodySchema,
        answers: {
          200: reportSchema,
          400: errorSchema,
          404: errorSchema,
          409: errorSchema,
        },
      },
      handle: async ({ params, body }) => {
        const source = params["source"]!;
        const { corrections } = body as { readonly corrections: Corrections };
        if (ports.correct === undefined) throw noCorrections(source);
        const report: CorrectionReport = await ports.correct(source, corrections);
        return { status: 200, body: { source, ...report } };
      },
    },
  ];
}

function noCorrections(source: string): OnefoldError {
  return new OnefoldError("REQUEST_INVALID", "this server takes no events in, and corrects none", {
    where: source,
    hint: "ask the server that owns the data folder",
  });
}

const idSchema = { type: "string", description: "of the event, as text" };

const bodySchema = {
  type: "object",
  required: ["corrections"],
  additionalProperties: false,
  properties: {
    corrections: {
      type: "array",
      minItems: 1,
      maxItems: 1000,
      items: {
        oneOf: [
          {
            type: "object",
            required: ["op", "id"],
            additionalProperties: false,
            properties: { op: { const: "retract" }, id: idSchema },
          },
          {
            type: "object",
            required: ["op", "id", "event"],
            additionalProperties: false,
            properties: {
              op: { const: "replace" },
              id: idSchema,
              event: { type: "object", description: "the whole row, with the same id" },
            },
          },
        ],
      },
    },
  },
};

const reportSchema = {
  type: "object",
  properties: {
    source: nameSchema,
    corrected: { type: "integer" },
    rejected: { type: "integer" },
    outcomes: {
      type: "array",
      description: "in the order of the corrections",
      items: {
        type: "object",
        required: ["status", "id"],
        properties: {
          status: { enum: ["retracted", "replaced", "rejected"] },
          id: { type: "string" },
          offset: { type: "integer", description: "of the retraction, or of the new event, in the source's log" },
          events: { type: "integer", description: "that were taken back" },
          code: { type: "string", description: "of a rejected correction" },
          message: { type: "string" },
        },
      },
    },
  },
};
