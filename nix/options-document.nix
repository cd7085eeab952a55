# docs/options.md: every option of the module, in the order of their names.
{ lib, options }:

let
  visible = lib.filter (option: !option.internal && option.visible != false) (
    lib.optionAttrSetToDocList options
  );
  sorted = lib.sort (a: b: a.name < b.name) visible;

  # A value or an expression as NixOS documents have it: { _type, text }.
  code = value: if value ? text then value.text else lib.generators.toPretty { } value;

  # "label: `x`", or a block when it has several lines.
  shown =
    label: text:
    if lib.hasInfix "\n" text then
      "${label}:\n\n```nix\n${lib.removeSuffix "\n" text}\n```\n"
    else
      "${label}: `${text}`\n";

  # The manual's marks, as plain Markdown.
  plain =
    text:
    lib.concatStrings (
      map (part: if lib.isString part then part else "`${lib.elemAt part 1}`") (
        builtins.split "[{](option|file|manpage|command|env|var)[}]`([^`]*)`" text
      )
    );

  one = option: ''
    ## `${option.name}`

    ${lib.trim (plain option.description)}

    ${lib.concatStringsSep "\n" (
      [ (shown "Type" option.type) ]
      ++ lib.optional (option ? default) (shown "Default" (code option.default))
      ++ lib.optional (option ? example) (shown "Example" (code option.example))
    )}'';
in
''
  # Options of the NixOS module

  Made by `nix/render` from `modules/`; don't edit. The README shows how to
  import the module.

  ${lib.concatMapStringsSep "\n" one sorted}''
