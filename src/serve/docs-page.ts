/**
 * The API description as a page: one file of HTML, without scripts or anything from elsewhere.
 */
import type { OpenApiDocument, OpenApiOperation } from "./openapi.ts";
import type { JsonSchema } from "./route.ts";

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .6rem 0; padding: 0 1rem; }
summary { cursor: pointer; padding: .6rem 0; }
details[open] > summary { border-bottom: 1px solid var(--line); margin-bottom: .6rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .7rem; overflow-x: auto; border-radius: 6px; }
.method { display: inline-block; min-width: 3.2rem; font-weight: 700; }
.what { opacity: .75; margin-left: .6rem; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 1rem; }
td, th { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); }
`;

export function docsPage(document: OpenApiDocument): string {
  const { schemas } = document.components;
  const { title, version, description } = document.info;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const sections = document.tags.map(({ name, description: about }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return `<h2 id="${escape(name)}">${escape(name)}</h2><p>${escape(about)}</p>${own.map((one) => operationHtml(one, schemas)).join("")}`;
  });
  const contents = document.tags.map(({ name }) => `<a href="#${escape(name)}">${escape(name)}</a>`).join(" · ");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} HTTP API</title><style>${STYLE}</style></head><body>
<h1>${escape(title)} HTTP API <small>${escape(version)}</small></h1>
<p>${escape(description)} As data: <a href="/openapi.json">openapi.json</a>.</p><p>${contents}</p>
${sections.join("\n")}
</body></html>
`;
}

type Schemas = Readonly<Record<string, JsonSchema>>;

function operationHtml(one: { path: string; method: string; operation: OpenApiOperation }, schemas: Schemas): string {
  const { path, method, operation } = one;
  const parameters = operation.parameters ?? [];
  const rows = parameters.map(
    ({ name, in: place, required, schema, description }) =>
      `<tr><td><code>${escape(name)}</code></td><td>${place}${required ? "" : ", optional"}</td><td>${escape(typeText(schema))}</td><td>${escape(description ?? "")}</td></tr>`,
  );
  const bodies = Object.entries(operation.requestBody?.content ?? {}).map(
    ([type, { schema }]) => `<h4>Body, ${escape(type)}</h4>${schemaHtml(schema, schemas)}`,
  );
  const answers = Object.entries(operation.responses).map(([status, { description, headers = {}, content = {} }]) => {
    const [type = "", media] = Object.entries(content)[0] ?? [];
    const isError = Number(status) >= 400;
    const schema = media === undefined || isError ? "" : schemaHtml(media.schema, schemas);
    const head = Object.entries(headers).map(
      ([name, { schema: of, description: about = "" }]) =>
        `<tr><td><code>${escape(name)}</code></td><td>header</td><td>${escape(typeText(of))}</td><td>${escape(about)}</td></tr>`,
    );
    const headTable = head.length === 0 ? "" : `<table>${head.join("")}</table>`;
    return `<h4>${status}, ${escape(isError ? "an error" : type)}</h4><p>${escape(description)}</p>${headTable}${schema}`;
  });
  return `<details id="${escape(operation.operationId)}"><summary><span class="method">${method}</span><code>${escape(path)}</code><span class="what">${escape(operation.summary)}</span></summary>
${rows.length === 0 ? "" : `<h4>Parameters</h4><table>${rows.join("")}</table>`}${bodies.join("")}${answers.join("")}
<h4>Try it</h4><pre>${escape(curl(method, path, operation))}</pre></details>`;
}

/** Members of an object as a table, those of objects in it behind a dot; anything else as its type. */
function schemaHtml(schema: JsonSchema, schemas: Schemas): string {
  const rows = membersOf(schema, "", schemas).map(
    ({ name, required, type, description }) =>
      `<tr><td><code>${escape(name)}</code>${required ? "" : " <small>optional</small>"}</td><td>${escape(type)}</td><td>${escape(description)}</td></tr>`,
  );
  return rows.length === 0 ? `<p>${escape(typeText(schema))}</p>` : `<table>${rows.join("")}</table>`;
}

/** What a reference to a shared schema stands for. */
function resolved(schema: JsonSchema, schemas: Schemas): JsonSchema {
  const reference = schema["$ref"];
  return typeof reference === "string" ? schemas[reference.slice(reference.lastIndexOf("/") + 1)]! : schema;
}

interface Member {
  readonly name: string;
  readonly required: boolean;
  readonly type: string;
  readonly description: string;
}

function membersOf(given: JsonSchema, prefix: string, schemas: Schemas): Member[] {
  const schema = resolved(given, schemas);
  const properties = (schema["properties"] ?? {}) as Readonly<Record<string, JsonSchema>>;
  const required = (schema["required"] ?? []) as readonly string[];
  return Object.entries(properties).flatMap(([name, unresolved]) => {
    const property = resolved(unresolved, schemas);
    const items = property["items"] as JsonSchema | undefined;
    const of = property["additionalProperties"];
    const inner =
      typeof of === "object" && of !== null
        ? membersOf(of as JsonSchema, `${prefix}${name}.*.`, schemas)
        : items === undefined
          ? membersOf(property, `${prefix}${name}.`, schemas)
          : membersOf(items, `${prefix}${name}[].`, schemas);
    const member = {
      name: prefix + name,
      required: required.includes(name),
      type: typeText(property),
      description: String(property["description"] ?? ""),
    };
    return [member, ...inner];
  });
}

function typeText(schema: JsonSchema): string {
  if (Array.isArray(schema["enum"])) return schema["enum"].map((value) => JSON.stringify(value)).join(" or ");
  if (Array.isArray(schema["oneOf"])) return (schema["oneOf"] as JsonSchema[]).map(typeText).join(" or ");
  const { type, items } = schema as { type?: string | string[]; items?: JsonSchema };
  const text = Array.isArray(type) ? type.join(" or ") : (type ?? "anything");
  return items === undefined ? text : `${text} of ${typeText(items)}`;
}

function curl(method: string, path: string, operation: OpenApiOperation): string {
  const types = Object.keys(operation.requestBody?.content ?? {});
  const [type] = types;
  if (type === undefined) return `curl ${method === "GET" ? "" : `-X ${method} `}"$URL${path}"`;
  return `curl -X ${method} "$URL${path}" -H "content-type: ${type}" -d '{...}'`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
