// Answers one AWS call per line of standard input, with the JavaScript SDK v3.
//
// In:  {"service": "cloudfront", "operation": "ListKeyValueStores", "parameters": {...}}
// Out: {"output": {...}} or {"error": {"code": "...", "status": 409, "message": "..."}}
//
// Credentials come from the environment, the server from POPKV_COMPAT_PORT, and
// the SDK from the folder POPKV_COMPAT_MODULES.
import { createRequire } from "node:module";
import http from "node:http";
import readline from "node:readline";

const require = createRequire(process.env.POPKV_COMPAT_MODULES + "/");
const cloudfront = require("@aws-sdk/client-cloudfront");
const keyvaluestore = require("@aws-sdk/client-cloudfront-keyvaluestore");
require("@aws-sdk/signature-v4a");

// The SDK puts the account id in front of the host; look every name up as loopback.
const lookup = (host, options, done) =>
  options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
const options = {
  endpoint: `http://localhost:${process.env.POPKV_COMPAT_PORT}`,
  region: "us-east-1",
  maxAttempts: 1,
  requestHandler: { httpAgent: new http.Agent({ keepAlive: true, lookup }) },
};
const services = {
  cloudfront: [cloudfront, new cloudfront.CloudFrontClient(options)],
  "cloudfront-keyvaluestore": [keyvaluestore, new keyvaluestore.CloudFrontKeyValueStoreClient(options)],
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  const [module, client] = services[call.service];
  for (const name of ["FunctionCode", "EventObject"]) {
    if (name in call.parameters) call.parameters[name] = Buffer.from(call.parameters[name], "base64");
  }
  let answer;
  try {
    const output = await client.send(new module[call.operation + "Command"](call.parameters));
    delete output.$metadata;
    if (output.FunctionCode) output.FunctionCode = Buffer.from(await output.FunctionCode).toString("base64");
    answer = { output };
  } catch (e) {
    if (!e.$metadata?.httpStatusCode) throw e;
    answer = { error: { code: e.name, status: e.$metadata.httpStatusCode, message: e.message } };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
