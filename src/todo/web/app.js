// The page /app: tasks, quick add, the assistant, and the changes of agents.
// User content is inserted only as text, never as HTML; the token is never part of a URL.

const TOKEN_KEY = "todo-token";
const DEBOUNCE_MS = 200;
const RECONNECT_MS = 3000;

const session = { token: "", user: "", zone: "UTC", lists: new Map() };
const byId = (id) => document.getElementById(id);

// ---- Elements

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// Invisible and direction-changing characters make titles look alike; emoji need some.
const clean = (text) => text.replace(/(?![\u200c\u200d\ufe0f])\p{DI}/gu, "\ufffd");
const makeText = (text, id) => make("bdi", { id, dir: "auto" }, clean(text));
const makeButton = (label, run, attributes) =>
  make("button", { type: "button", onclick: () => begin(run), ...attributes }, label);

const makeHint = (text) => make("p", { class: "hint" }, text);
const makeActions = (...buttons) => make("div", { class: "actions" }, ...buttons);

const shorten = (text) => text.replace(/^(.{60}).+/su, "$1…");

function debounce(run) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(() => run(...values)), DEBOUNCE_MS);
  };
}

// ---- Messages

function say(place, ...content) {
  byId(place).replaceChildren(...content);
}

/** Scroll to a message, which the assistant has below its form. */
function reveal(place) {
  if (findView() === "assistant") byId(place).scrollIntoView({ block: "nearest" });
}

/** Focus an element without moving another one under the pointer. */
const focusStill = (element) => element?.focus({ preventScroll: true });

// ID of the element that had the focus before a message got it.
let left = "";
byId("messages").addEventListener("focusin", ({ relatedTarget: from }) => {
  if (!from?.closest("#messages")) left = from?.id;
});

const makeClose = (place) => makeButton("Close", () => {
  say(place);
  focusStill(byId(left) ?? byId(`${findView()}-title`));
});

/** Show a notice, with an undo button that gets the focus only if no element has it. */
function notify(text, undo) {
  say("error");
  const keys = { id: "undo", title: "Ctrl+Z", "aria-keyshortcuts": "Control+Z" };
  const button = undo && makeButton(undo.label ?? "Undo", undo.run, keys);
  say("notice", make("span", {}, makeText(text)), ...(button ? [button] : []), makeClose("notice"));
  reveal("notice");
  if (document.activeElement === document.body) focusStill(byId("notice").querySelector("button"));
}

addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input:not([type=checkbox]), textarea");
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && !isTyping) byId("undo")?.click();
});

function report(error) {
  if (error.name === "AbortError" || error.isSignedOut) return;
  const isKnown = error instanceof Problem;
  if (!isKnown) console.error(error);
  say("error", make("span", {}, makeText(isKnown ? error.message : FAILED)), makeClose("error"));
  reveal("error");
  if (error.code === "version-mismatch") act(views[findView()].refresh);
}

/** Run an action of the user; clear the previous error first. */
function begin(run) {
  say("error");
  return act(run);
}

/** Run a function and report its error. */
async function act(run) {
  try {
    await run();
  } catch (error) {
    report(error);
  }
}

// ---- Requests

class Problem extends Error {
  constructor(message, status = 0, body = {}, waitS = 0) {
    super(message);
    Object.assign(this, { status, waitS, code: body.code, errors: body.errors ?? [] });
  }
}

// Error messages for people, by error code; the service's own messages are for programs.
const UNREACHABLE = "The service cannot be reached. Check the connection, then try again.";
const UNDONE = "This was undone already.";
const FAILED = "This did not work because of an error in the page or the service. Reload the page, then try again.";
// Pattern of messages that are only useful to programs.
const FOR_PROGRAMS = /`|\brequest\b|[A-Z]\w+-[A-Z]/;
const PROBLEMS = {
  "ambiguous-text": "Part of the text has more than one meaning.",
  "batch-failed": "Nothing was changed.",
  "content-too-large": "This is too long.",
  "conversations-full": "Your conversations use all of their space. Delete earlier ones, then send the message again.",
  "deadline-exceeded": "This took too long, and may have been done. Look first, then try again.",
  "insufficient-scope": ({ detail }) => `${detail.replaceAll("`", "")} Sign in with a token that has it.`,
  "internal-error": ({ request_id: id }) => `The service has failed. If it fails again, report the request ID ${id}.`,
  "not-found": "It was deleted, or you may not see it.",
  "other-conversation": "This conversation belongs to another token. Choose New conversation, then send the message again.",
  "other-user": "Your token is for another user. Sign in again.",
  "plan-applied": "This plan was applied already.",
  "plan-expired": "The plan has expired, so nothing was changed. Send the message again.",
  "plan-outdated": "Tasks have changed since this plan was made, so nothing was changed. Send the message again.",
  "precondition-required": "This token is only for programs. Sign in with another token.",
  "rate-limited": ({ detail }) => detail.replace(/[;,] [^;,.]*`.*/, ".").replace(/ Retry in .*/, ""),
  "request-timeout": "The connection is too slow. Try again.",
  "too-many-bodies": "Too much is being sent at the same time.",
  "too-many-plans": "Too many plans are waiting. Apply or discard one first.",
  "too-many-streams": "Too many tabs are open. Close one of them.",
  "turn-running": "This message is still being answered.",
  unauthorized: "The token is invalid or has expired.",
  "undo-conflict": ({ detail, errors }) =>
    errors?.some((each) => each.message.startsWith("is already undone")) ? UNDONE
    : detail.includes("token_id") ? "Several tokens have a run with this name. Undo it under Agents." : "Nothing was undone.",
  "validation-failed": "",
  "version-mismatch": "Somebody else has changed this meanwhile, so nothing was changed. Look at it, then try again.",
};
const WITHOUT_ERRORS = ["plan-outdated", "precondition-required"];

/** Return the text for a problem: cause and remedy. */
function describeProblem(status, body, waitS = 0) {
  const known = PROBLEMS[body.code] ?? (status === 503 ? "The service is temporarily unavailable; try again later." : findDetail(body));
  const errors = WITHOUT_ERRORS.includes(body.code) ? [] : (body.errors ?? []);
  const parts = [typeof known === "string" ? known : known(body)];
  if (parts[0] !== UNDONE) parts.push(...errors.slice(0, 3).map(describeError));
  if (waitS) {
    const at = new Date(Date.now() + waitS * 1000).toLocaleTimeString();
    parts.push(`Try again in ${waitS} s, at ${at}.`);
  }
  return parts.filter(Boolean).join(" ").replace(/\.\.(?= |$)/g, ".");
}

const makeProblem = (status, body, waitS) => new Problem(describeProblem(status, body, waitS), status, body, waitS);

const findDetail = ({ detail }) => (detail && !FOR_PROGRAMS.test(detail) ? detail : FAILED);

function describeError({ field, message }) {
  const [, part, rest] = /gives the field `(\w+)`, which (.*)/.exec(message) ?? [null, field ?? "", message];
  const text = rest.replace(/: see entry .*/, "");
  const [kind, id] = part.split("/");
  // Conflicts refer to a task or a list, other errors to a field.
  const found = tasks.items.find((each) => each.id === id)?.title ?? session.lists.get(id)?.name;
  if (id) return `${found ? `${capitalize(kind)} ${shorten(found)}` : `A ${kind}`} ${text}.`;
  const name = FIELDS[kind.split(".").at(-1)];
  return name ? `${name}: ${text}.` : `${capitalize(text)}.`;
}

/** Send a request; throw a Problem for every error response. */
async function send(method, path, { query = {}, body, headers, signal } = {}) {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value != null && value !== "") url.searchParams.set(name, value);
  }
  const fields = { Accept: "application/json", Authorization: `Bearer ${session.token}`, ...headers };
  if (body) fields["Content-Type"] = "application/json";
  if (method !== "GET") fields["Idempotency-Key"] ??= makeKey();
  const token = session.token;
  // The browser's cache does not separate users.
  const options = { method, headers: fields, body: body && JSON.stringify(body), signal, cache: "no-store" };
  let response;
  try {
    response = await fetch(url, { credentials: "omit", redirect: "error", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(UNREACHABLE);
  }
  if (byId("error").textContent.startsWith(UNREACHABLE)) say("error");
  if (response.ok) return response;
  const found = await response.json().catch(() => ({}));
  const waitS = Number(response.headers.get("retry-after")) || 0;
  const problem = makeProblem(response.status, found, waitS);
  if (response.status === 401 && token === session.token) {
    problem.isSignedOut = true;
    signOut(`${problem.message} Sign in again.`);
  }
  throw problem;
}

/** Fetch pages until there are enough items; return the items and the next cursor. */
async function fetchPages(path, query, wanted, start, sent = "cursor") {
  const items = [];
  let next = start;
  do {
    const page = await call("GET", path, { query: { ...query, [sent]: next } });
    items.push(...page.items);
    next = page[`next_${sent}`];
  } while (next != null && items.length < wanted);
  return { items, next };
}

async function call(method, path, options) {
  const response = await send(method, path, options);
  return response.status === 204 ? null : response.json();
}

// randomUUID is not available on pages over plain HTTP.
const makeKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** Yield server-sent events. */
async function* readEvents(response) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of readChunks(response.body)) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const [event, data] = ["event", "data"].map((name) => new RegExp(`^${name}: (.*)`, "m").exec(block)?.[1]);
      if (data) yield { event, data };
    }
  }
}

async function* readChunks(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The connection was lost. Try again.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

// ---- Dates

const formatDay = (day) =>
  new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(day));

const makeFormat = (timeZone) => new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", timeZone });

function formatTime(instant, zone = session.zone) {
  const text = makeFormat(zone).format(new Date(instant));
  return zone === session.zone ? text : `${text} (${zone})`;
}

const formatRange = (first, last) => makeFormat(session.zone).formatRange(new Date(first), new Date(last));

function formatDue(task) {
  if (task.due_date) return formatDay(task.due_date);
  return task.due_at ? formatTime(task.due_at, task.due_zone ?? session.zone) : "";
}

/** Return the date and time of an instant as in form fields. */
function splitInstant(instant, zone) {
  // The locale sv-SE has the date format of form fields.
  const form = { dateStyle: "short", timeStyle: "short", timeZone: zone };
  return new Intl.DateTimeFormat("sv-SE", form).format(new Date(instant)).split(" ");
}

/** Return the instant of a local date and time in a zone. */
function joinInstant(day, time, zone) {
  const wanted = Date.parse(`${day}T${time}Z`);
  let found = wanted;
  // The second round corrects the offset if the clocks change in between.
  for (let round = 0; round < 2; round += 1) {
    found += wanted - Date.parse(`${splitInstant(found, zone).join("T")}Z`);
  }
  // Use the first occurrence of an ambiguous time.
  const earlier = found - 3_600_000;
  if (`${splitInstant(earlier, zone)}` === `${splitInstant(found, zone)}`) found = earlier;
  return new Date(found).toISOString();
}

function isOverdue(task) {
  if (task.is_completed) return false;
  if (task.due_at) return new Date(task.due_at) < new Date();
  return Boolean(task.due_date) && task.due_date < splitInstant(Date.now(), session.zone)[0];
}

// ---- Sign in and out

function readStoredToken() {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  } catch {
    return ""; // Storage is disabled.
  }
}

function storeToken(token) {
  try {
    sessionStorage[token ? "setItem" : "removeItem"](TOKEN_KEY, token);
  } catch {
    notify("This browser stores nothing: reloading the page signs you out.");
  }
}

async function signIn(token, remember) {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Problem("This is not a token: it contains spaces or other invalid characters.");
  session.token = token;
  try {
    const account = await call("GET", "me");
    Object.assign(session, { user: account.user, zone: account.zone });
    await fetchLists();
  } catch (error) {
    session.token = "";
    throw error;
  }
  if (remember) storeToken(token);
  byId("token").value = "";
  say("error");
  byId("user").textContent = session.user;
  offerZone();
  show(true);
  openView();
  follow();
}

function signOut(reason) {
  session.token = "";
  storeToken("");
  stopFollowing();
  stopChat();
  for (const view of [tasks, runs, chat, earlier]) Object.assign(view, { turn: view.turn + 1, items: [] });
  earlier.doomed = null;
  runs.open.clear();
  chat.undone.clear();
  live.isAgain = false;
  for (const id of ["task-list", "run-list", "questions", "meaning", "mirror", "notice", "conversation-list"]) say(id);
  byId("earlier").open = false;
  clearLog(null);
  session.lists.clear();
  for (const id of ["add-form", "chat-form"]) byId(id).reset();
  show(false);
  byId("token").focus();
  if (reason) report(new Problem(reason));
}

function show(isSignedIn) {
  for (const id of ["views", "account"]) byId(id).hidden = !isSignedIn;
  byId("sign-in").hidden = isSignedIn;
  if (!isSignedIn) for (const name of Object.keys(views)) byId(name).hidden = true;
}

async function fetchLists() {
  const { items } = await fetchPages("lists", { limit: 100 }, Infinity);
  session.lists = new Map(items.map((each) => [each.id, each]));
  const named = [...session.lists.values()].map((each) => [each.id, each.name]);
  fillSelect("list", [["", "all"], ["none", "no list"], ...named]);
  const shared = [...session.lists.values()].filter((each) => each.owner !== session.user);
  fillSelect("journal", [["", "your account"], ...shared.map((each) => [each.id, `list ${each.name}`])]);
  byId("journal-choice").hidden = !shared.length;
}

function fillSelect(id, options) {
  const chosen = byId(id).value;
  say(id, ...options.map(([value, label]) => make("option", { value, selected: value === chosen }, clean(label))));
}

function offerZone() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  byId("zone").hidden = own === session.zone;
  const use = async () => {
    session.zone = (await call("PATCH", "me", { body: { zone: own } })).zone;
    byId("zone").hidden = true;
    notify(`Days and times are now shown in ${own}.`);
    await tasks.refresh();
  };
  say("zone", `Days and times are shown in ${session.zone}. `, makeButton(`Use ${own}`, use));
}

// ---- Views

const tasks = { turn: 0, items: [], next: null, refresh: () => fetchTasks(false) };
const runs = { turn: 0, items: [], next: null, open: new Map(), refresh: () => fetchRuns(false) };
const earlier = { turn: 0, items: [], next: null, doomed: null };
const refreshEarlier = async () => byId("earlier").open && fetchConversations(false);
const chat = { turn: 0, conversation: null, abort: null, older: null, lost: null, undone: new Set(), refresh: refreshEarlier };
const views = { tasks, assistant: chat, runs };

/** Return a function that returns false after a later request of the view or signing out. */
function startTurn(view) {
  const turn = (view.turn += 1);
  return () => view.turn === turn;
}

function findView() {
  const name = location.hash.slice(1);
  return Object.hasOwn(views, name) ? name : "tasks";
}

function openView() {
  if (!session.token) return;
  const current = findView();
  for (const name of Object.keys(views)) byId(name).hidden = name !== current;
  for (const link of byId("views").children) link.ariaCurrent = link.hash === `#${current}` ? "page" : null;
  const title = byId(`${current}-title`);
  document.title = `${title.textContent} – Todo`;
  for (const id of ["notice", "error"]) say(id);
  title.focus();
  act(views[current].refresh);
}

/** Replace the children of an element if they differ; restore the focus. */
function redraw(id, children) {
  const old = [...byId(id).children];
  if (old.length === children.length && old.every((each, at) => each.isEqualNode(children[at]))) return;
  const focused = document.activeElement;
  const place = old.findIndex((each) => each.contains(focused));
  say(id, ...children);
  if (place < 0) return;
  const row = children[Math.min(place, children.length - 1)];
  const same = focused.isConnected ? focused : byId(focused.id);
  focusStill(same ?? row?.querySelector("input, button") ?? byId("undo"));
}

/** Fetch the next page, or all pages again; return startTurn's function, or null if outdated. */
async function fetchItems(view, path, query, isMore, sent) {
  const isWanted = startTurn(view);
  const [wanted, start] = isMore ? [1, view.next] : [view.items.length, null];
  const { items, next } = await fetchPages(path, query, wanted, start, sent);
  if (!isWanted()) return null;
  Object.assign(view, { items: isMore ? [...view.items, ...items] : items, next });
  return isWanted;
}

function draw(view, name, rows) {
  redraw(`${name}-list`, rows);
  byId(`more-${name}s`).hidden = view.next == null;
  byId(`no-${name}s`).hidden = rows.length > 0;
}

// ---- Live changes by others

const live = { abort: null, timer: null, isAgain: false, hasNewLists: false };
const refreshSoon = debounce(async () => {
  if (live.hasNewLists) await fetchLists();
  live.hasNewLists = false;
  if (!document.querySelector("form.edit")) await views[findView()].refresh();
});

async function follow() {
  stopFollowing();
  if (!session.token || document.hidden) return;
  const abort = (live.abort = new AbortController());
  let waitMs = RECONNECT_MS;
  try {
    const headers = { Accept: "text/event-stream" };
    const response = await send("GET", "events", { headers, signal: abort.signal });
    // The stream does not repeat earlier changes.
    if (live.isAgain) refreshSoon();
    live.isAgain = true;
    say("connection");
    for await (const { data } of readEvents(response)) {
      live.hasNewLists ||= ["list", "share"].includes(JSON.parse(data).kind);
      refreshSoon();
    }
  } catch (error) {
    if (abort.signal.aborted || error.isSignedOut) return;
    if (!error.status) say("connection", "Offline: new changes are not shown. Trying again.");
    // The token lacks the scope "read", so a retry cannot succeed.
    if (error.status === 403) return;
    waitMs = Math.max(waitMs, (error.waitS ?? 0) * 1000);
  }
  if (!abort.signal.aborted) live.timer = setTimeout(follow, waitMs);
}

function stopFollowing() {
  clearTimeout(live.timer);
  live.abort?.abort();
}

// ---- Undo

/** Undo a change made on this page; `version` is the task's version before the change. */
async function undoChange(task, operation, version) {
  const list = task.owner === session.user ? null : task.list_id;
  const page = await call("GET", "journal", { query: { entity: task.id, list, limit: 20 } });
  const isIt = (each) => each.operation === operation && each.before?.version === version;
  const entry = page.items.find(isIt);
  if (!entry) throw new Problem("This change is no longer in the journal, so it cannot be undone.");
  await undo({ seq: entry.seq, ...(list && { list }) });
}

async function undo(body, isRedo) {
  const done = await call("POST", "undo", { body }).catch((error) => {
    if (error.message === UNDONE) forgetUndo(body.run_id);
    throw error;
  });
  if (!done.not_undone.length) forgetUndo(body.run_id);
  const rest = done.not_undone.map((each) => ` Not undone: ${each.message}.`).join("");
  const [first] = done.items;
  const again = { seq: first?.seq, whole_request: true, ...(body.list && { list: body.list }) };
  notify(`${isRedo ? "Redone" : "Undone"}: ${count(done.items.length, "change")}.${rest}`, first && {
    label: isRedo ? "Undo" : "Redo",
    run: () => undo(again, !isRedo),
  });
  await views[findView()].refresh();
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

// ---- Tasks

async function fetchTasks(isMore) {
  const status = byId("status").value;
  const order = status === "open" ? { sort: "due", order: "asc" } : { sort: "updated" };
  const limit = !isMore && tasks.items.length > 50 ? 100 : 50;
  const query = { status, list: byId("list").value, limit, ...order };
  if (!(await fetchItems(tasks, "tasks", query, isMore))) return;
  draw(tasks, "task", tasks.items.map((task) => findEdited(task) ?? renderTask(task)));
  say("no-tasks", `No ${status} tasks here.`);
}

/** Find the row of a task in edit mode, to keep the typed text. */
const findEdited = (task) => document.querySelector(`#task-${task.id}:has(form.edit)`);

function renderTask(task) {
  const name = `name-${task.id}`;
  const box = make("input", {
    type: "checkbox",
    id: `box-${task.id}`,
    checked: task.is_completed,
    "aria-labelledby": name,
    onchange: () => begin(() => setCompleted(task, box)),
  });
  return make(
    "li",
    // A task may look the same in a new version, which its buttons must send.
    { class: task.is_completed ? "task done" : "task", id: `task-${task.id}`, "data-version": task.version },
    box,
    make("div", {}, makeText(task.title, name), renderFacts(findFacts(task))),
    makeActions(
      makeButton("Edit", () => editTask(task), { id: `edit-${task.id}`, "aria-describedby": name }),
      makeButton("Delete", () => deleteTask(task), { id: `delete-${task.id}`, "aria-describedby": name }),
    ),
  );
}

const renderFacts = (facts) =>
  facts.length ? make("ul", { class: "facts" }, ...facts.map((fact) => make("li", {}, fact))) : null;

function findFacts(task) {
  const due = formatDue(task);
  const facts = [];
  if (due) facts.push(isOverdue(task) ? make("span", { class: "bad" }, `Overdue: ${due}`) : `Due ${due}`);
  if (task.recurrence) facts.push(task.recurrence_text ?? describeRule(task.recurrence));
  if (task.priority !== "none") facts.push(`${task.priority} priority`);
  const list = session.lists.get(task.list_id);
  if (list) facts.push(makeText(list.name));
  facts.push(...task.tags.map((tag) => makeText(`@${tag}`)));
  if (task.reminders.length) facts.push(count(task.reminders.length, "reminder"));
  return facts;
}

const UNITS = { DAILY: "day", WEEKLY: "week", MONTHLY: "month", YEARLY: "year" };

/** Describe how often an RRULE repeats. */
function describeRule(rule) {
  const parts = Object.fromEntries(rule.split(";").map((part) => part.split("=")));
  const period = count(Number(parts.INTERVAL ?? 1), UNITS[parts.FREQ]).replace(/^1 /, "");
  return `Repeats every ${period}${/BY\w+=[^;]*,/.test(rule) ? " on several days" : ""}`;
}

const matchVersion = (task) => ({ "If-Match": `"${task.version}"` });

async function setCompleted(task, box) {
  const operation = box.checked ? "complete" : "reopen";
  try {
    await call("POST", `tasks/${task.id}/${operation}`, { headers: matchVersion(task) });
  } catch (error) {
    box.checked = !box.checked;
    throw error;
  }
  await tasks.refresh();
  const done = operation === "complete" ? "Completed" : "Reopened";
  notify(`${done}: ${shorten(task.title)}`, { run: () => undoChange(task, operation, task.version) });
}

async function deleteTask(task) {
  await call("DELETE", `tasks/${task.id}`, { headers: matchVersion(task) });
  await tasks.refresh();
  notify(`Deleted: ${shorten(task.title)}`, { run: () => undoChange(task, "delete", task.version) });
}

function editTask(task) {
  const zone = task.due_zone ?? session.zone;
  const [day, time] = task.due_at ? splitInstant(task.due_at, zone) : [task.due_date ?? "", ""];
  const title = make("input", { value: task.title, dir: "auto", required: true });
  const date = make("input", { type: "date", value: day });
  const clock = make("input", { type: "time", value: time });
  const close = () => {
    byId(`task-${task.id}`)?.replaceWith(renderTask(task));
    byId(`edit-${task.id}`)?.focus();
  };
  // Other tasks may have changed during the edit.
  const cancel = () => (close(), tasks.refresh());
  const save = async () => {
    const body = {};
    if (title.value !== task.title) body.title = title.value;
    if (date.value !== day || clock.value !== time) Object.assign(body, readDue(date.value, clock.value, zone));
    if (Object.keys(body).length) {
      await call("PATCH", `tasks/${task.id}`, { body, headers: matchVersion(task) }).catch(refuseOld);
      notify(`Changed: ${shorten(title.value)}`, { run: () => undoChange(task, "update", task.version) });
    }
    close();
    await tasks.refresh();
  };
  const form = make(
    "form",
    {
      class: "edit",
      onsubmit: (event) => (event.preventDefault(), begin(save)),
      onkeydown: (event) => event.key === "Escape" && begin(cancel),
    },
    make("label", {}, "Title ", title),
    make("label", {}, "Due on ", date),
    make("label", {}, `at (${zone}) `, clock),
    make("button", { class: "primary" }, "Save"),
    makeButton("Cancel", cancel),
  );
  byId(`task-${task.id}`).replaceChildren(form);
  title.focus();
}

function refuseOld(error) {
  if (error.code !== "version-mismatch") throw error;
  throw new Problem("Somebody else has changed this task meanwhile, so nothing was saved. Choose Cancel to see it.");
}

function readDue(day, time, zone) {
  if (!day && time) throw new Problem("A time needs a day.");
  if (!day) return { due_date: null, due_at: null };
  return time ? { due_at: joinInstant(day, time, zone), due_zone: zone } : { due_date: day };
}

// ---- Quick add

const preview = { text: "", listId: null, abort: null };

const previewSoon = debounce(async () => {
  const text = byId("add").value;
  preview.abort?.abort();
  if (!text.trim() || !session.token) return;
  preview.abort = new AbortController();
  const { signal } = preview.abort;
  try {
    const found = await call("POST", "quick-add", { query: { preview: true }, body: { text }, signal });
    if (byId("add").value === text) showMeaning(text, found);
  } catch (error) {
    if (!(error instanceof Problem) || !error.status) throw error;
    say("meaning", makeText(error.message));
  }
});

function clearPreview() {
  Object.assign(preview, { text: "", listId: null });
  for (const id of ["meaning", "mirror", "questions"]) say(id);
}

function showMeaning(text, { task, spans, questions }) {
  Object.assign(preview, { text, listId: task.list_id });
  highlight(text, [...spans, ...questions.map((each) => ({ ...each, kind: "question" }))]);
  showQuestions(text, questions);
  if ([...task.title].length > 255) return say("meaning", "The title is too long: at most 255 characters.");
  const facts = findFacts({ ...task, is_completed: true }).flatMap((fact) => [" · ", fact]);
  if (!questions.length) say("meaning", makeText(task.title), ...facts);
}

/** Draw marks behind the field. Spans count code points, strings UTF-16 units. */
function highlight(text, spans) {
  const points = [...text];
  const parts = [];
  let at = 0;
  for (const { start, end, kind } of spans.sort((one, other) => one.start - other.start)) {
    if (start < at) continue;
    parts.push(points.slice(at, start).join(""));
    parts.push(make("mark", { class: kind }, points.slice(start, end).join("")));
    at = end;
  }
  say("mirror", ...parts, points.slice(at).join(""));
  byId("mirror").scrollLeft = byId("add").scrollLeft;
}

function showQuestions(text, questions) {
  if (questions.length) say("meaning", "Choose what is meant.");
  const points = [...text];
  const render = ({ start, end, message, choices }) => {
    const buttons = choices.map((choice) =>
      makeButton(choice, () => {
        byId("add").value = [...points.slice(0, start), choice, ...points.slice(end)].join("");
        byId("add").dispatchEvent(new Event("input"));
        byId("add").focus();
      }),
    );
    return make("div", { class: "row" }, make("span", {}, makeText(message)), ...buttons);
  };
  say("questions", ...questions.map(render));
}

async function addTask() {
  const text = byId("add").value;
  const chosen = byId("list").value;
  const isPlaced = preview.text !== text || preview.listId || ["", "none"].includes(chosen);
  const body = isPlaced ? { text } : { text, list_id: chosen };
  const made = await call("POST", "quick-add", { body }).catch((error) => {
    const questions = error.errors?.filter((each) => each.choices) ?? [];
    if (!questions.length) throw error;
    showQuestions(text, questions);
  });
  if (!made) return;
  byId("add").value = "";
  clearPreview();
  await tasks.refresh();
  notify(`Added: ${shorten(made.task.title)}`, { run: () => undoChange(made.task, "create") });
  byId("add").focus();
}

// ---- Runs of agents

const DONE = {
  create: "created",
  update: "changed",
  complete: "completed",
  reopen: "reopened",
  delete: "deleted",
  restore: "restored",
  share: "shared",
  unshare: "no longer shared",
};
const capitalize = (text) => text[0].toUpperCase() + text.slice(1);
const keyOf = (run) => [run.run_id, run.actor, run.token_id].join(" ");

async function fetchRuns(isMore) {
  const isWanted = await fetchItems(runs, "runs", { list: byId("journal").value }, isMore, "before");
  if (!isWanted) return;
  const rows = await Promise.all(runs.items.map(renderRun));
  if (isWanted()) draw(runs, "run", rows);
}

async function renderRun(run) {
  const key = keyOf(run);
  const id = `run-${run.last_seq}`;
  const who = run.agent ?? run.token_name ?? "A program";
  const isOpen = runs.open.has(key);
  const summary = run.summary.map((each) => `${count(each.count, each.kind)} ${DONE[each.operation]}`);
  const facts = [
    formatRange(run.first_at, run.last_at),
    `${summary.join(", ")}${run.has_more_changes ? ", and more" : ""}`,
    run.token_name && makeText(`token ${run.token_name}`),
    run.model && makeText(`model ${run.model}`),
    run.actor !== session.user && makeText(`by ${run.actor}`),
    make("span", {}, "run ", make("code", {}, run.run_id)),
  ].filter(Boolean);
  const changes = make("ul", { class: "changes", id: `${id}-changes`, hidden: !isOpen });
  if (isOpen) await fillChanges(run, changes);
  const toggle = async () => {
    if (runs.open.has(key)) runs.open.delete(key);
    else runs.open.set(key, 1);
    await runs.refresh();
  };
  const undone = run.is_undone ? make("span", { class: "badge" }, "Undone") : null;
  return make(
    "li",
    {},
    make("h3", { id }, makeText(who), " ", undone),
    renderFacts(facts),
    makeActions(
      makeButton(isOpen ? "Hide changes" : "Show changes", toggle, {
        id: `${id}-toggle`,
        "aria-expanded": String(isOpen),
        "aria-controls": `${id}-changes`,
        "aria-describedby": id,
      }),
      undone ? null : makeButton("Undo this run", () => undoRun(run), { id: `${id}-undo`, "aria-describedby": id }),
    ),
    changes,
  );
}

async function undoRun({ run_id, actor, token_id }) {
  const list = byId("journal").value;
  const body = { run_id, ...(token_id && { token_id }), ...(list && { list }) };
  await undo(actor === session.user ? body : { ...body, actor });
}

async function fillChanges(run, place) {
  const query = { run_id: run.run_id, token_id: run.token_id, actor: run.actor, limit: 100 };
  query.list = byId("journal").value;
  const found = [];
  let pages = runs.open.get(keyOf(run));
  let before;
  do {
    const page = await call("GET", "journal", { query: { ...query, before } });
    found.push(...page.items.filter((each) => each.token_id === run.token_id && each.operation !== "remind"));
    before = page.next_before;
    pages -= 1;
  } while (before != null && pages > 0);
  place.replaceChildren(...found.map((each) => make("li", {}, ...renderChange(each))));
  if (before == null) return;
  const more = () => {
    runs.open.set(keyOf(run), runs.open.get(keyOf(run)) + 1);
    return runs.refresh();
  };
  place.append(make("li", {}, makeButton("Show more changes", more)));
}

// ---- The fields of a change, before and after

const FIELDS = {
  title: "Title",
  name: "Name",
  description: "Description",
  is_completed: "Done",
  due_date: "Due on",
  due_at: "Due at",
  due_zone: "Zone",
  recurrence: "Repeats",
  recurrence_from: "Repeats from",
  reminders: "Reminders",
  priority: "Priority",
  tags: "Tags",
  list_id: "List",
  parent_id: "Below",
  position: "Position",
  access: "Access",
  message: "Message",
};
// Fields that are omitted for created and deleted items: the name and defaults.
const NAMED = ["title", "name", "position"];
const DEFAULTS = { priority: "none", recurrence_from: "schedule", is_completed: false };

function renderChange({ operation, kind, id, title, old_title: old, before, after }, isPlanned = false) {
  const one = after ?? before ?? {};
  const now = title ?? one.title ?? one.name ?? id ?? "";
  const name = old ? `${old} → ${now}` : now;
  const planned = `${operation === "update" ? "Change" : capitalize(operation)} ${kind}`;
  const what = isPlanned ? planned : `${capitalize(kind)} ${DONE[operation]}`;
  const heading = make("p", {}, `${what}: `, make("strong", {}, makeText(name)));
  const rows = Object.keys(FIELDS).filter((field) => isChanged(field, before, after));
  return rows.length ? [heading, renderDifference(name, rows, before, after)] : [heading];
}

function isChanged(field, before, after) {
  const [old, now] = [before?.[field], after?.[field]].map((value) => JSON.stringify(value ?? null));
  if (old === now) return false;
  if (before && after) return true;
  const value = (after ?? before)[field];
  return !NAMED.includes(field) && value !== DEFAULTS[field] && String(value) !== "";
}

function renderDifference(name, rows, before, after) {
  const cell = (tag, document, field) => {
    const text = document && formatValue(field, document[field]);
    return make("td", {}, text && make(tag, {}, makeText(text)));
  };
  const body = rows.map((field) =>
    make("tr", {}, make("th", { scope: "row" }, FIELDS[field]), cell("del", before, field), cell("ins", after, field)),
  );
  const head = ["Field", "Before", "After"].map((label) => make("th", { scope: "col" }, label));
  const parts = [make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)];
  return make("table", { "aria-label": `Changes of ${shorten(name)}` }, ...parts);
}

function formatValue(field, value) {
  if (value == null || value === "") return "";
  if (field === "list_id") return session.lists.get(value)?.name ?? value;
  if (field === "due_at") return formatTime(value);
  if (field === "due_date") return formatDay(value);
  if (field === "reminders") return value.map((minutes) => `${minutes} min before`).join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return Array.isArray(value) ? value.join(", ") : String(value);
}

// ---- Assistant

async function ask() {
  const message = byId("message").value.trim();
  if (!message || chat.abort) return;
  // If the response was lost, the message may have been handled: the same key runs it once.
  const sent = chat.lost?.message === message ? chat.lost : { message, key: makeKey() };
  sent.body ??= { message, ...(chat.conversation && { conversation_id: chat.conversation }) };
  chat.lost = null;
  addMessage("You", makeText(message));
  byId("message").value = "";
  say("notice");
  const { token } = session;
  const text = make("div", { class: "text", dir: "auto" });
  const answer = addMessage("Assistant", text);
  setBusy(true);
  try {
    await readAnswer(sent, answer, text);
  } catch (error) {
    const isStopped = error.name === "AbortError";
    const end = isStopped ? "Stopped." : "No answer.";
    const rest = error.status ? "" : " Changes that were already made are listed under Agents.";
    answer.append(makeHint(end + rest));
    if (answer.runId) addUndo({ run_id: answer.runId }, answer);
    if (!isStopped && !error.status) chat.lost = sent;
    // Keep the message for another try, unless the user has signed out.
    if (session.token === token) byId("message").value ||= message;
    if (error.status !== 404) throw error;
    chat.conversation = null;
    throw new Problem("This conversation was deleted. Send the message again to start another one.", 404);
  } finally {
    setBusy(false);
    act(refreshEarlier);
  }
}

function addMessage(who, content) {
  const message = renderMessage(who, content);
  byId("log").append(message);
  revealMessage(message);
  return message;
}

/** Scroll to a message, or to its start if it is longer than the log. */
function revealMessage(message) {
  const isLong = message.offsetHeight > byId("log").clientHeight;
  message.scrollIntoView({ block: isLong ? "start" : "nearest" });
}

const renderMessage = (who, content) =>
  make("div", { class: who === "You" ? "message mine" : "message" }, make("h3", {}, who), content);

function setBusy(isBusy) {
  chat.abort = isBusy ? new AbortController() : null;
  byId("log").ariaBusy = isBusy;
  const { activeElement } = document;
  byId("send").disabled = isBusy;
  byId("stop").hidden = !isBusy;
  // A hidden button loses the focus.
  if (isBusy && activeElement === byId("send")) byId("stop").focus();
  if (!isBusy && activeElement === byId("stop")) byId("send").focus();
}

const stopChat = () => chat.abort?.abort();

async function readAnswer({ body, key }, answer, text) {
  const headers = { Accept: "text/event-stream", "Idempotency-Key": key };
  const response = await send("POST", "assistant", { body, headers, signal: chat.abort.signal });
  for await (const { event, data } of readEvents(response)) {
    const found = JSON.parse(data);
    if (event === "start") chat.conversation = found.conversation_id;
    if (event === "text") text.append(found.delta);
    if (event === "tool") answer.runId = found.result.run_id ?? answer.runId;
    if (event === "error") throw makeProblem(found.status, found);
    if (event === "done") return showAnswer(found, answer, text);
    answer.scrollIntoView({ block: "end" });
  }
  throw new Problem("The answer was interrupted. Try again.");
}

function showAnswer(found, answer, text) {
  chat.conversation = found.conversation_id;
  text.textContent = found.response;
  for (const plan of document.querySelectorAll("#log .plan")) plan.close("See the answer below.");
  addFacts(found, answer);
  if (found.plan) answer.append(renderPlan(found.plan));
  revealMessage(answer);
}

const CAUSES = {
  "not-configured": "no language model is set up",
  "over-budget": "the budget of the language model is used up",
  invalid: "the answer of the language model was not usable",
};

function addFacts(found, answer) {
  const used = [...new Set(found.tool_calls.map((each) => each.tool_name.replaceAll("_", " ")))];
  if (used.length) answer.append(makeHint(`Tools: ${used.join(", ")}`));
  if (found.degraded) {
    const cause = CAUSES[found.degraded_reason] ?? "the language model did not answer";
    const kind = used.length ? "Not finished" : "Answered by rules";
    answer.append(makeHint(`${kind}: ${cause}.`));
  }
  for (const { tool_name: tool, arguments: sent, result } of found.tool_calls) {
    if (tool === "undo" && result.not_undone_count === 0) forgetUndo(sent.run_id);
  }
  if (found.undo) addUndo(found.undo, answer);
}

/** Add a button that undoes an answer, unless that has been done. */
function addUndo(body, answer) {
  const run = body.run_id;
  if (chat.undone.has(run)) return;
  answer.append(makeButton("Undo what this did", () => undo(body), { "data-run": run }));
}

function forgetUndo(run) {
  chat.undone.add(run);
  byId("log").querySelector(`[data-run=${CSS.escape(run)}]`)?.remove();
}

const RANKS = { delete: 0, create: 4 };
const MAX_UNFOLDED = 3;
// Status codes of plans that cannot be applied: not found, applied, expired or outdated.
const CLOSED = [404, 409, 410, 412];

/** Render a plan: deletions first, tasks before their subtasks, additions last. */
function renderPlan(plan) {
  const changes = make("ul", { class: "changes" });
  const state = makeHint(`Nothing has changed yet. It can be applied until ${formatTime(plan.expires_at)}.`);
  const finish = (text) => {
    if (buttons.isConnected) state.textContent = text;
    buttons.remove();
  };
  const stop = (error) => {
    if (CLOSED.includes(error.status)) finish(error.message);
    throw error;
  };
  const apply = async () => {
    const headers = { "X-Agent": "assistant" };
    const done = await call("POST", `plans/${plan.id}/apply`, { headers }).catch(stop);
    finish("Applied.");
    notify("The plan was applied.", { run: () => undo({ run_id: done.run_id }) });
  };
  const discard = async () => {
    await call("DELETE", `plans/${plan.id}`).catch(stop);
    finish("Discarded: nothing was changed.");
    byId("message").focus();
  };
  const buttons = makeActions(makeButton("Apply", apply, { class: "primary" }), makeButton("Discard", discard));
  const isBelow = ({ before }) => plan.changes.some(({ id }) => id && id === before?.parent_id);
  const rank = (change) => (RANKS[change.operation] ?? 2) + isBelow(change);
  const ordered = [...plan.changes].sort((one, other) => rank(one) - rank(other));
  changes.append(...ordered.map((each) => renderPlanned(each, ordered.length > MAX_UNFOLDED)));
  if (plan.changes_omitted) changes.append(make("li", {}, `and ${count(plan.changes_omitted, "more change")}`));
  const decision = make("div", { class: "decision" }, state, buttons);
  const card = make("div", { class: "plan", role: "group", "aria-label": "Plan" }, changes, decision);
  return Object.assign(card, { close: finish });
}

/** Render a change of a plan, with its fields folded if there are many changes. */
function renderPlanned(change, isFolded) {
  const [heading, table] = renderChange(change, true);
  if (!table || !isFolded) return make("li", {}, heading, table);
  return make("li", {}, make("details", {}, make("summary", {}, ...heading.childNodes), table));
}

function clearLog(conversation) {
  stopChat();
  chat.turn += 1;
  chat.conversation = conversation;
  chat.older = chat.lost = null;
  byId("more-messages").hidden = true;
  say("log");
  drawConversations();
}

async function fetchConversations(isMore) {
  if (await fetchItems(earlier, "conversations", {}, isMore)) drawConversations();
}

const drawConversations = () => draw(earlier, "conversation", earlier.items.map(renderConversation));

function renderConversation(conversation) {
  const { id, title, updated_at: updatedAt } = conversation;
  const name = `conversation-${id}`;
  const isCurrent = id === chat.conversation;
  const open = makeButton("", () => openConversation(id), { id: name, "aria-current": isCurrent && "true" });
  open.append(makeText(shorten(title)));
  const facts = [formatTime(updatedAt), isCurrent && "Shown below"].filter(Boolean);
  const isDoomed = id === earlier.doomed;
  const ask = () => setDoomed(id, `keep-${id}`);
  const remove = { id: `delete-${id}`, "aria-describedby": name };
  const end = isDoomed ? renderQuestion(conversation) : makeActions(makeButton("Delete", ask, remove));
  return make("li", { class: "task" }, make("div", {}, open, renderFacts(facts)), end);
}

/** Ask before a conversation is deleted: unlike a task's, its deletion cannot be undone. */
function renderQuestion(conversation) {
  const { id } = conversation;
  const keep = () => setDoomed(null, `delete-${id}`);
  const text = "Delete this conversation? This cannot be undone. Your tasks stay.";
  return make(
    "div",
    {
      class: "actions question",
      role: "group",
      "aria-labelledby": `question-${id}`,
      onkeydown: (event) => event.key === "Escape" && keep(),
    },
    make("p", { id: `question-${id}` }, text),
    makeButton("Delete conversation", () => deleteConversation(conversation), { id: `confirm-${id}` }),
    makeButton("Keep", keep, { id: `keep-${id}` }),
  );
}

function setDoomed(id, focused) {
  earlier.doomed = id;
  drawConversations();
  byId(focused)?.focus();
}

async function deleteConversation({ id, title }) {
  const { token } = session;
  await call("DELETE", `conversations/${id}`).catch((error) => {
    // Already deleted, for example in another tab.
    if (error.status !== 404) throw error;
  });
  if (session.token !== token) return;
  earlier.items = earlier.items.filter((each) => each.id !== id);
  if (chat.conversation === id) clearLog(null);
  setDoomed(null);
  if (!earlier.items.length && earlier.next) await fetchConversations(false);
  if (!earlier.items.length) byId("earlier").querySelector("summary").focus();
  notify(`Conversation deleted: ${shorten(title)}`);
}

async function openConversation(id) {
  const isWanted = startTurn(chat);
  const page = await call("GET", `conversations/${id}`);
  const plan = page.plan_id && (await call("GET", `plans/${page.plan_id}`).catch(() => null));
  if (!isWanted()) return;
  clearLog(id);
  byId("earlier").open = false;
  showMessages(page);
  const last = byId("log").lastElementChild;
  if (plan?.status === "open") last?.append(renderPlan(plan));
  if (last) revealMessage(last);
  byId("message").focus();
}

async function fetchOlderMessages() {
  const isWanted = startTurn(chat);
  const page = await call("GET", `conversations/${chat.conversation}`, { query: { cursor: chat.older } });
  if (!isWanted()) return;
  showMessages(page);
  if (!chat.older) byId("log").focus();
}

/** Insert a page of messages, newest first, above the others. */
function showMessages(page) {
  chat.older = page.next_cursor;
  byId("more-messages").hidden = !chat.older;
  byId("log").prepend(...page.messages.map(renderStored).reverse());
}

function renderStored(found) {
  if (found.role === "user") return renderMessage("You", makeText(found.content));
  const answer = renderMessage("Assistant", make("div", { class: "text", dir: "auto" }, found.content));
  if (found.status === "running") answer.append(makeHint(PROBLEMS["turn-running"]));
  addFacts(found, answer);
  return answer;
}

// ---- Start

const on = (type, id, run) =>
  byId(id).addEventListener(type, (event) => {
    event.preventDefault();
    begin(run);
  });

on("submit", "sign-in-form", () => signIn(byId("token").value.trim(), byId("remember").checked));
on("submit", "add-form", addTask);
on("submit", "filter", tasks.refresh);
on("submit", "chat-form", ask);
on("click", "sign-out", () => signOut());
on("click", "more-tasks", () => fetchTasks(true));
on("click", "more-runs", () => fetchRuns(true));
on("click", "stop", () => {
  stopChat();
  byId("message").focus();
});
on("click", "new-conversation", () => {
  clearLog(null);
  byId("message").focus();
});
on("click", "more-conversations", () => fetchConversations(true));
on("click", "more-messages", fetchOlderMessages);
byId("earlier").addEventListener("toggle", () => act(refreshEarlier));
for (const id of ["list", "status"]) on("change", id, tasks.refresh);
on("change", "journal", runs.refresh);
byId("add").addEventListener("input", () => {
  clearPreview();
  previewSoon();
});
byId("add").addEventListener("scroll", () => (byId("mirror").scrollLeft = byId("add").scrollLeft));
byId("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  begin(ask);
});
addEventListener("hashchange", openView);
addEventListener("online", follow);
document.addEventListener("visibilitychange", follow);

const stored = readStoredToken();
show(false);
if (stored) act(() => signIn(stored, false));
// After loading, when the browser has focused the view of the URL's fragment.
else addEventListener("load", () => byId("token").focus());
