// What a person has begun to write is theirs: no change of the page takes it, and it waits for their return.
"use strict";

const Drafts = (() => {
  const FIELDS = "input:not([type=hidden]):not([type=submit]), textarea, select";
  const STORE = `drafts of ${document.body.dataset.who ?? ""} on ${location.pathname}`;

  const chosen = (field) => [...field.options].findIndex((option) => option.selected);
  const preset = (field) => Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
  const changed = (field) => {
    if (field.localName === "select") return field.options.length > 0 && chosen(field) !== preset(field);
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    return field.value !== field.defaultValue;
  };
  const fieldsIn = (root) => [...root.querySelectorAll?.(FIELDS) ?? []];
  const within = (root) => fieldsIn(root).filter(changed);
  const holds = (node) => node.nodeType === 1 && (node.matches(FIELDS) ? changed(node) : within(node).length > 0);

  // A form that is half filled in stays the one that it was, with the key that has it done once.
  const protects = (node) => {
    if (node.nodeType !== 1) return false;
    if (node.matches(FIELDS)) return node === document.activeElement || changed(node);
    return node.matches("input[type=hidden]") && node.form !== null && holds(node.form);
  };

  const noted = (field) => ({
    action: field.form?.getAttribute("action") ?? "",
    name: field.name,
    value: field.type === "checkbox" ? field.checked : field.value,
  });
  const give = ({ action, name, value }) => {
    const mine = fieldsIn(document).find((field) => field.name === name && field.form?.getAttribute("action") === action);
    if (!mine) return;
    if (mine.type === "checkbox") mine.checked = value;
    else mine.value = value;
    mine.closest("details")?.setAttribute("open", "");
  };

  // Has `change` done to the page; what a person wrote is there afterwards, wherever its field went.
  const outlive = (change) => {
    const before = within(document).map((field) => ({ field, note: noted(field) }));
    change();
    for (const { field, note } of before) if (!field.isConnected) give(note);
  };

  const keep = () => {
    const posted = within(document).filter((field) => field.form?.method === "post" && field.name && field.type !== "password");
    if (posted.length) sessionStorage.setItem(STORE, JSON.stringify(posted.map(noted)));
    else sessionStorage.removeItem(STORE);
  };
  const restore = () => {
    for (const note of JSON.parse(sessionStorage.getItem(STORE) ?? "[]")) give(note);
  };

  return { holds, protects, outlive, keep, restore };
})();
