# What the module `services.cairn` puts into a generation: its real unit texts,
# hook and policy, as rendered/ holds them. Each `@name@` there was a store
# path of the package `name`.
let
  rendered = ../rendered;
  lines =
    text: builtins.filter (line: builtins.isString line && line != "") (builtins.split "\n" text);

  substitute =
    policy: text:
    let
      value =
        name:
        if name == "cairn" then
          "/opt/cairn"
        else if builtins.match ".*policy.*" name != null then
          "${policy}"
        else
          # Everything else is Debian's here.
          "/usr";
      part = piece: if builtins.isList piece then value (builtins.head piece) else piece;
    in
    builtins.concatStringsSep "" (map part (builtins.split "@([a-zA-Z][a-zA-Z0-9.+_-]*)@" text));

  merge =
    a: b:
    if builtins.isAttrs a && builtins.isAttrs b then
      a // builtins.mapAttrs (name: value: if a ? ${name} then merge a.${name} value else value) b
    else
      b;

  # The parts of a folder of rendered/, over those that all have in common.
  read =
    variant:
    let
      folder = rendered + "/${variant}";
      file =
        path:
        builtins.readFile (
          if variant != "" && builtins.pathExists (folder + "/${path}") then
            folder + "/${path}"
          else
            rendered + "/${path}"
        );
      unitsOf =
        folder:
        if builtins.pathExists (folder + "/units") then builtins.readDir (folder + "/units") else { };
    in
    {
      inherit file;
      units = builtins.mapAttrs (name: _: file "units/${name}") (unitsOf rendered // unitsOf folder);
    };
in
{
  absent = {
    units = { };
    wants = [ ];
    etc = { };
    checks = { };
    programs = [ ];
  };

  # A variant ("" is the plain one), with settings merged over its policy.
  over =
    variant: settings:
    let
      inherit (read variant) file units;
      policy = builtins.toFile "cairn-policy.json" (
        # No policy names itself.
        substitute "" (builtins.toJSON (merge (builtins.fromJSON (file "policy.json")) settings))
      );
    in
    {
      units = builtins.mapAttrs (_: substitute policy) units;
      wants = lines (file "wants");
      etc = {
        "cairn/policy.json" = policy;
        "tmpfiles.d/10-cairn.conf" = builtins.toFile "10-cairn.conf" (
          substitute policy (file "tmpfiles.conf")
        );
      };
      checks.cairn = substitute policy (file "pre-switch-check.sh");
      programs = [ "/opt/cairn/bin/cairn" ];
    };
}
