// Drives matrix-js-sdk; NODE_PATH names the folder it was installed in.
// Usage: URL USER PASSWORD TEXT. Prints one JSON object.
"use strict";

const sdk = require("matrix-js-sdk");

/** Logs in, makes a room, uploads, speaks and reads. */
async function main(url, user, password, text) {
    const guest = sdk.createClient(url);
    const session = await guest.loginWithPassword(user, password);
    const client = sdk.createClient({
        baseUrl: url,
        accessToken: session.access_token,
        userId: session.user_id,
    });
    const who = await client._http.authedRequest(undefined, "GET", "/account/whoami");
    const room = (await client.createRoom({ visibility: "public" })).room_id;
    await client.joinRoom(room);
    const media = await client.uploadContent(Buffer.from(text), {
        name: "näme & more.txt",
        type: "text/plain",
        rawResponse: false,
    });
    const since = (await sync(client, { timeout: 0 })).next_batch;
    await client.sendTextMessage(room, text);
    const news = await sync(client, { timeout: 5000, since });
    const history = await client._http.authedRequest(
        undefined, "GET", `/rooms/${encodeURIComponent(room)}/messages`,
        { from: news.next_batch, dir: "b", limit: 10 },
    );
    const bodies = (events) => events.map((event) => event.content.body ?? null);
    return {
        token: session.access_token,
        user: who.user_id,
        room,
        synced: bodies(news.rooms.join[room].timeline.events),
        read: bodies(history.chunk),
        media: media.content_uri ?? media,
    };
}

/** One sync as the SDK's own loop sends it, without the loop. */
function sync(client, parameters) {
    return client._http.authedRequest(undefined, "GET", "/sync", parameters);
}

main(...process.argv.slice(2)).then(
    (result) => {
        process.stdout.write(JSON.stringify(result) + "\n");
        process.exit(0);
    },
    (error) => {
        console.error(error);
        process.exit(1);
    },
);
