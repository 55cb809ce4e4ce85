// The last page of a login in a popup: tell the page that opened it, and close.
// A channel, not window.opener: OpenRouter's pages may cut the popup off from its opener.
"use strict";

const channel = new BroadcastChannel("openrouter");
channel.postMessage({ connected: true });
channel.close();
window.close();

// Still open: nobody opened this as a popup, so go where a login without popup ends.
setTimeout(() => location.replace(document.getElementById("openrouter-next").href), 500);
