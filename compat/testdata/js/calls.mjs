// Answers one AWS call per line of standard input, with the JavaScript SDK v3.
//
// In:  {"target": {...}, "service": "cloudfront", "operation": "ListKeyValueStores", "parameters": {...}}
// Out: {"output": {...}}, or {"error": {"code": "...", "status": 409, "message": "...", "class": "..."}},
//      or {"fault": "..."} when the SDK itself refuses
//
// A target is {"port": 8080, "key": {"id": "...", "secret": "...", "token": ""}, "way": ""}: "way" is how to
// get past the account label that the SDK puts in front of the data plane's host. The SDK is in the folder
// POPKV_COMPAT_MODULES.
import { createRequire } from "node:module";
import http from "node:http";
import readline from "node:readline";

const require = createRequire(process.env.POPKV_COMPAT_MODULES + "/");
const modules = {
  cloudfront: [require("@aws-sdk/client-cloudfront"), "CloudFrontClient"],
  "cloudfront-keyvaluestore": [require("@aws-sdk/client-cloudfront-keyvaluestore"), "CloudFrontKeyValueStoreClient"],
  sts: [require("@aws-sdk/client-sts"), "STSClient"],
};
require("@aws-sdk/signature-v4a");

// Looks every name up as loopback, labelled ones too.
const lookup = (host, options, done) =>
  options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);

const stripLabel = (next) => (args) => {
  args.request.hostname = args.request.hostname.replace(/^\d{12}\./, "");
  return next(args);
};

function client(service, { port, key, way }) {
  const [module, name] = modules[service];
  const options = {
    endpoint: `http://localhost:${port}`,
    region: "us-east-1",
    maxAttempts: 1,
    credentials: { accessKeyId: key.id, secretAccessKey: key.secret, ...(key.token && { sessionToken: key.token }) },
  };
  if (way === "") options.requestHandler = { httpAgent: new http.Agent({ lookup }) };
  const made = new module[name](options);
  if (way === "middleware") made.middlewareStack.add(stripLabel, { step: "build" });
  return made;
}

const clients = {};
async function answer({ target, service, operation, parameters }) {
  const id = JSON.stringify([service, target]);
  clients[id] ??= client(service, target);
  for (const name of ["FunctionCode", "EventObject"]) {
    if (name in parameters) parameters[name] = Buffer.from(parameters[name], "base64");
  }
  try {
    const output = await clients[id].send(new modules[service][0][operation + "Command"](parameters));
    delete output.$metadata;
    if (output.FunctionCode) output.FunctionCode = Buffer.from(await output.FunctionCode).toString("base64");
    return { output };
  } catch (e) {
    if (!e.$metadata?.httpStatusCode) return { fault: String(e.stack) };
    return { error: { code: e.name, status: e.$metadata.httpStatusCode, message: e.message, class: e.constructor.name } };
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
}
