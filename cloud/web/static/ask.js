// Asks in a dialog before what cannot be undone. Without scripts the same question opens below its button.

for (const details of document.querySelectorAll("details.ask")) {
  const [summary, form] = details.children;
  const opener = button(summary.textContent, summary.className);
  const dialog = document.createElement("dialog");
  const keep = button("Cancel", "button");
  if (summary.ariaLabel !== null) {
    opener.ariaLabel = summary.ariaLabel;
  }
  keep.autofocus = true;
  dialog.ariaLabel = form.querySelector(".question").textContent;
  form.querySelector(".buttons").prepend(keep);
  dialog.append(form);
  details.replaceWith(opener, dialog);
  opener.addEventListener("click", () => dialog.showModal());
  keep.addEventListener("click", () => dialog.close());
}

function button(text, looks) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.className = looks;
  return made;
}
