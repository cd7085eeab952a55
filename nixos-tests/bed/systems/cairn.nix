# What the module `services.cairn` puts into a generation: its real unit texts,
# hook and policy, as rendered/ holds them. Each `@name@` there was a store
# path of the package `name`.
let
  rendered = ../rendered;
  lines = text: builtins.filter (line: builtins.isString line && line != "") (builtins.split "\n" text);

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
    builtins.concatStringsSep "" (
      map part (builtins.split "@([a-zA-Z][a-zA-Z0-9.+_-]*)@" text)
    );

  merge =
    a: b:
    if builtins.isAttrs a && builtins.isAttrs b then
      a // builtins.mapAttrs (name: value: if a ? ${name} then merge a.${name} value else value) b
    else
      b;

  unitNames = builtins.attrNames (builtins.readDir (rendered + "/units"));
  wants = lines (builtins.readFile (rendered + "/wants"));
in
{
  absent = {
    units = { };
    wants = [ ];
    etc = { };
    checks = { };
    programs = [ ];
  };

  # With this merged over the rendered policy.
  over =
    settings:
    let
      policy = builtins.toFile "cairn-policy.json" (
        builtins.toJSON (
          merge (builtins.fromJSON (builtins.readFile (rendered + "/policy.json"))) settings
        )
      );
      text = path: substitute policy (builtins.readFile path);
    in
    {
      inherit wants;
      units = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = text (rendered + "/units/${name}");
        }) unitNames
      );
      etc = {
        "cairn/policy.json" = policy;
        "tmpfiles.d/10-cairn.conf" = builtins.toFile "10-cairn.conf" (text (rendered + "/tmpfiles.conf"));
      };
      checks.cairn = text (rendered + "/pre-switch-check.sh");
      programs = [ "/opt/cairn/bin/cairn" ];
    };
}
