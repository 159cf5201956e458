// What both pages share: requests with the page's token, and the 3-D view in its frame.

const TOKEN = document.querySelector('meta[name="token"]').content;

export async function read(path, query = {}) {
  return answer(await fetch(`${path}?${new URLSearchParams(query)}`));
}

export async function change(path, content = {}) {
  const headers = { "Content-Type": "application/json", "X-Selfpose6d-Token": TOKEN };
  return answer(await fetch(path, { method: "POST", headers, body: JSON.stringify(content) }));
}

async function answer(response) {
  const content = await response.json().catch(() => ({ error: `no answer (${response.status})` }));
  if (!response.ok) throw new Error(content.error);
  return content;
}

// The view is of our own origin, so that keys pressed in it are ours too.
export function openView(frame, port, onKey) {
  frame.addEventListener("load", () => {
    frame.contentWindow.addEventListener("keydown", onKey, { capture: true });
  });
  const socket = `${location.protocol === "https:" ? "wss" : "ws"}://${location.hostname}:${port}`;
  frame.src = `/view3d/?websocket=${encodeURIComponent(socket)}`;
}

export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

// Only the last of several calls that come close together is made.
export function lastOf(call, wait_ms = 150) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), wait_ms);
  };
}

export function isTyping(target) {
  return /^(INPUT|SELECT|TEXTAREA)$/.test(target?.tagName ?? "") && target.type !== "checkbox" && target.type !== "range";
}
