// An application service on matrix-appservice; NODE_PATH names the folder it was installed in.
// Usage: PORT, with HS_TOKEN in the environment. Prints one JSON object for each thing it hears.
"use strict";

const { AppService } = require("matrix-appservice");

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const service = new AppService({ homeserverToken: process.env.HS_TOKEN });

service.on("event", (event) => say({ event: event.content.body ?? event.type }));
service.on("http-log", (line) => say({ request: line }));
service.onAliasQuery = (alias, answer) => {
    say({ alias });
    answer();
};
service.listen(Number(process.argv[2]), "127.0.0.1", 10, () => say({ ready: true }));
