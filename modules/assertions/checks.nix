# What the assertions share.
{ lib }:
rec {
  # A path as the units and the policy can use it: absolute, normal, and of
  # characters that need no quoting in a unit or in tmpfiles.d.
  isPlainPath =
    path:
    lib.match "(/[a-zA-Z0-9_.+@=-]+)+" path != null
    && !(lib.any (part: part == "." || part == "..") (lib.splitString "/" path));
  isWithin = parent: path: path == parent || lib.hasPrefix "${parent}/" path;
  isWithinAny = parents: path: lib.any (parent: isWithin parent path) parents;
  overlap = a: b: isWithin a b || isWithin b a;

  # Commands run with a PATH that differs from a shell's, and no shell reads
  # them, so only a whole path is sure to be found.
  isCommand = command: command != [ ] && lib.hasPrefix "/" (lib.head command);

  isBlank = text: lib.trim text == "";

  # Whether any rule keeps something. An age alone only delays a deletion.
  keeps =
    rules:
    lib.any (value: value != null && value != 0 && value != [ ]) (
      lib.attrValues (removeAttrs rules [ "minAge" ])
    );

  # The names of those for which something holds.
  namesWhere = condition: set: lib.attrNames (lib.filterAttrs condition set);

  quote = lib.concatMapStringsSep ", " (text: "\"${text}\"");
}
