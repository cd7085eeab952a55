# What names may look like: they become parts of the names of units and files,
# and of the trigger `schedule:<name>`.
{ lib }:
{
  isValid = name: lib.match "[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}" name != null;
  says = ''letters, digits, "-" and "_" only, with a letter or a digit first, 64 at most'';
}
