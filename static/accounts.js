// Adds a checkbox to each form that shows the text in its password fields.
for (const form of document.querySelectorAll('form:has([type=password])')) {
  const fields = form.querySelectorAll('[type=password]');
  const last = fields[fields.length - 1];
  const box = Object.assign(document.createElement('input'), { type: 'checkbox', id: `show-${last.id}` });
  const label = Object.assign(document.createElement('label'), { htmlFor: box.id, textContent: 'Show password' });
  const line = Object.assign(document.createElement('p'), { className: 'check' });
  // Some browsers send visible text to a server to check its spelling.
  fields.forEach((field) => (field.spellcheck = false));
  const show = () => fields.forEach((field) => (field.type = box.checked ? 'text' : 'password'));
  box.addEventListener('change', show);
  // Otherwise, the browser may remember the password like the text of an ordinary field.
  form.addEventListener('submit', () => ((box.checked = false), show()));
  line.append(box, ' ', label);
  last.closest('.field').after(line);
}
