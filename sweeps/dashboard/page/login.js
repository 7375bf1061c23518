// The link that the server shows carries the token behind the #, which browsers do not send.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("token").value = token;
  document.forms[0].requestSubmit();
}
