// What a page of the Observer does by itself: it hears what changed and fetches itself anew.
"use strict";

(() => {
  const PAUSE_MS = 900; // between two fetches of the page, however much happens
  const SILENCE_MS = 40000; // after which a connection that says nothing counts as lost
  const find = (selector, root = document) => root.querySelector(selector);
  const main = () => find("#main");

  // --- times -------------------------------------------------------------------------------------
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const ago = (then) => {
    const seconds = (Date.now() - then) / 1000;
    const size = Math.abs(seconds);
    if (size < 1) return "now";
    const [unit, name] = UNITS.find(([unit]) => size >= unit);
    const words = `${Math.floor(size / unit)} ${name}`;
    return seconds > 0 ? `${words} ago` : `in ${words}`;
  };
  const tellTimes = () => {
    for (const time of document.querySelectorAll("time:not([data-fixed])")) {
      const words = ago(Date.parse(time.dateTime));
      if (time.textContent !== words) time.textContent = words;
    }
  };

  // --- toasts ------------------------------------------------------------------------------------
  const toast = (words, tone) => {
    const made = document.createElement("p");
    made.className = `toast ${tone}`;
    made.textContent = words;
    find("#toasts").append(made);
    setTimeout(() => made.remove(), tone === "bad" ? 9000 : 5000);
  };
  const settleToasts = () => {
    for (const shown of document.querySelectorAll("#toasts .toast")) setTimeout(() => shown.remove(), 5000);
    const address = new URL(location.href);
    if (address.searchParams.has("said")) {
      address.searchParams.delete("said");
      history.replaceState(null, "", address);
    }
  };

  // --- the page, fetched anew ----------------------------------------------------------------------
  const morph = (fresh) => {
    const callbacks = {
      beforeNodeMorphed: (old) => !Drafts.protects(old),
      beforeNodeRemoved: (old) => !Drafts.holds(old),
      beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details")),
      afterNodeAdded: (node) => node.matches?.("li.entry, li.ask, .thread li") && node.classList.add("fresh"),
    };
    Drafts.outlive(() => Idiomorph.morph(main(), fresh, { morphStyle: "outerHTML", callbacks }));
    tellTimes();
    goOn();
  };

  let fetching = false;
  let wanted = false;
  let last = 0;
  let timer = 0;
  const refresh = () => {
    wanted = true;
    clearTimeout(timer);
    const wait = Math.max(0, last + PAUSE_MS - Date.now());
    if (!fetching) timer = setTimeout(fetchPage, document.hidden ? Math.max(wait, 3000) : wait);
  };
  const goOn = () => {
    if (find("[data-again]")) refresh(); // there is more to see, which took too long for one look
  };
  const toSignIn = () => {
    const here = location.pathname + location.search;
    location.assign(`/ui/sign-in?next=${encodeURIComponent(here)}`);
  };
  const fetchPage = async () => {
    fetching = true;
    wanted = false;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) return toSignIn();
      if (answer.status < 500 && answer.status !== 429) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (find("#main", page) && !find("[data-secret]")) morph(find("#main", page)); // a secret is shown once
      } else wanted = true;
    } catch {
      wanted = true; // the server is gone; the connection below will tell when it is back
    } finally {
      fetching = false;
      if (wanted && state === "on") setTimeout(refresh, 1000);
    }
  };

  // --- what changed --------------------------------------------------------------------------------
  const concerns = (news) => {
    const topics = main().dataset.live.split(/\s+/).filter(Boolean);
    if (news.much) return topics.length > 0;
    return topics.some((topic) => {
      if (topic === "*") return news.types.length > 0;
      if (topic === "deliveries") return news.deliveries;
      const [kind, id] = topic.split(":");
      if (kind === "task") return news.tasks.includes(id);
      if (kind === "agent") return news.agents.includes(id);
      if (news.types.includes(topic)) return true;
      return topic.endsWith("*") && news.types.some((type) => type.startsWith(topic.slice(0, -1)));
    });
  };

  let state = "off";
  const WORDS = { on: "Live", lost: "Reconnecting", off: "Connecting" };
  const show = (next) => {
    state = next;
    const lamp = find("#live");
    lamp.dataset.state = next;
    lamp.lastElementChild.textContent = WORDS[next];
  };

  let source = null;
  let silence = 0;
  let position = "";
  let pause = 500;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(reconnect, SILENCE_MS);
  };
  const connect = () => {
    source = new EventSource(`/ui/live?after=${position || main().dataset.position}`);
    source.onopen = () => {
      pause = 500;
      show("on");
      heard();
      if (wanted) refresh();
    };
    source.addEventListener("news", (event) => {
      heard();
      position = event.lastEventId;
      if (concerns(JSON.parse(event.data))) refresh();
    });
    source.addEventListener("beat", heard);
    source.addEventListener("over", () => {
      source.close();
      fetchPage(); // leads to where one signs in
    });
    source.onerror = () => {
      show("lost");
      if (source.readyState === EventSource.CLOSED) reconnect();
    };
  };
  const reconnect = () => {
    clearTimeout(silence);
    source.close();
    show("lost");
    setTimeout(connect, pause);
    pause = Math.min(pause * 2, 10000);
  };

  // --- forms ---------------------------------------------------------------------------------------
  const send = async (form, button) => {
    button?.setAttribute("disabled", "");
    document.body.setAttribute("aria-busy", "true");
    try {
      const body = new URLSearchParams(new FormData(form));
      const action = button?.getAttribute("formaction") || form.action;
      const answer = await fetch(action, { method: "POST", body, headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok) return toast(find(".problem", page)?.textContent || `Nexus answered ${answer.status}`, "bad");
      if (new URL(answer.url).pathname === "/ui/sign-in") return toSignIn(); // with the draft as it is
      form.reset();
      if (answer.redirected && new URL(answer.url).pathname !== location.pathname) return void location.assign(answer.url);
      form.closest("details")?.removeAttribute("open");
      morph(find("#main", page));
      find("[data-secret]")?.scrollIntoView({ block: "center" });
      const said = find("#toasts .toast", page);
      if (said) toast(said.textContent, "good");
    } catch {
      toast("Nexus does not answer. Nothing was lost; try again.", "bad");
    } finally {
      button?.removeAttribute("disabled");
      document.body.removeAttribute("aria-busy");
    }
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || "plain" in form.dataset) return;
    event.preventDefault();
    send(form, event.submitter);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("form.filters select")) event.target.form.requestSubmit();
  });

  const shut = (open) => {
    const had = open.contains(document.activeElement);
    open.removeAttribute("open");
    if (had) find("summary", open).focus(); // where the keyboard came from
  };

  const copy = async (shown) => {
    try {
      await navigator.clipboard.writeText(shown.textContent);
      toast("Copied.", "good");
    } catch { // only pages over TLS, or of this machine, may
      getSelection().selectAllChildren(shown);
      toast("Selected; copy it with Ctrl+C.", "good");
    }
  };

  // --- keys ----------------------------------------------------------------------------------------
  let going = false;
  document.addEventListener("keydown", (event) => {
    const writing = event.target.matches("input, textarea, select");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) event.target.form.requestSubmit();
    if (event.key === "Escape") document.querySelectorAll("details.confirm[open]").forEach(shut);
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (going) {
      going = false;
      const link = find(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) return void location.assign(link.href);
    }
    if (event.key === "g") {
      going = true;
      setTimeout(() => (going = false), 1500);
    } else if (event.key === "/" && find("input[type=search]")) {
      event.preventDefault();
      find("input[type=search]").focus();
    } else if (event.key === "/") location.assign("/ui/tasks");
    else if (event.key === "n") location.assign("/ui/tasks/new");
    else if (event.key === "?") find("#help")?.showModal();
  });
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.confirm[open]")) if (!open.contains(event.target)) open.removeAttribute("open");
    const copied = event.target.closest?.("button[data-copy]");
    if (copied) copy(document.getElementById(copied.dataset.copy));
  });

  // --- begin ---------------------------------------------------------------------------------------
  Drafts.restore();
  settleToasts();
  tellTimes();
  find("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone they scroll
  setInterval(tellTimes, 5000);
  if (find("#live")) connect();
  goOn();
  addEventListener("pagehide", () => {
    Drafts.keep();
    find("[data-secret]")?.remove(); // so that Back shows nothing
    source?.close();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted && find("#live")) {
      wanted = true;
      connect();
    }
  });
})();
