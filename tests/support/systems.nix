# NixOS systems in miniature: the files that cairn reads where NixOS has them,
# and closures that are worth comparing.
let
  build =
    name: script:
    derivation {
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      PATH = "/bin:/usr/bin";
      args = [
        "-e"
        "-c"
        script
      ];
    };
  package =
    name: version: bytes:
    build "${name}-${version}" ''
      mkdir -p $out/bin
      head -c ${toString bytes} /dev/zero > $out/bin/${name}
    '';
  linux =
    version:
    build "linux-${version}" ''
      mkdir -p $out/lib/modules/${version}-mini
      echo kernel > $out/bzImage
    '';
  # As NixOS: the script ends in what `nixos-version --json` prints.
  versionTool =
    version: revision:
    build "nixos-version" ''
      mkdir -p $out/bin
      cat > $out/bin/nixos-version <<'EOF'
      #! /bin/sh
      case "$1" in
        --json)
          cat <<EOT
      {"configurationRevision":"${revision}","nixosVersion":"${version}"}
      EOT
          ;;
        *) echo "${version}" ;;
      esac
      EOF
      chmod +x $out/bin/nixos-version
    '';
  systemPath =
    packages:
    build "system-path" ''
      mkdir -p $out/bin
      for package in ${toString packages}; do ln -s $package/bin/* $out/bin/; done
    '';
  bootspec =
    version: kernel:
    builtins.toJSON {
      "org.nixos.bootspec.v1" = {
        system = "x86_64-linux";
        kernel = "${linux kernel}/bzImage";
        kernelParams = [
          "loglevel=4"
          "quiet"
        ];
        label = "NixOS ${version} (Linux ${kernel})";
        init = "@out@/init";
        toplevel = "@out@";
      };
      "org.nixos.specialisation.v1" = { };
    };
  links =
    specialisations:
    builtins.concatStringsSep "\n" (
      map (name: "ln -s ${specialisations.${name}} $out/specialisation/${name}") (
        builtins.attrNames specialisations
      )
    );
  toplevel =
    {
      version,
      revision ? "",
      kernel ? null,
      packages,
      specialisations ? { },
      bootJson ? bootspec version kernel,
    }:
    build "nixos-system-mini-${version}" ''
      mkdir -p $out/bin $out/specialisation
      printf '%s' '${version}' > $out/nixos-version
      printf '%s' x86_64-linux > $out/system
      printf '%s' 'systemd 2' > $out/init-interface-version
      echo '#! /bin/sh' > $out/init
      echo '#! /bin/sh' > $out/bin/switch-to-configuration
      chmod +x $out/init $out/bin/switch-to-configuration
      ln -s ${systemPath (packages ++ [ (versionTool version revision) ])} $out/sw
      ${links specialisations}
      ${
        if kernel == null then
          ""
        else
          ''
            ln -s ${linux kernel}/bzImage $out/kernel
            ln -s ${linux kernel} $out/kernel-modules
            printf '%s' 'loglevel=4 quiet' > $out/kernel-params
            cat > $out/boot.json <<'EOF'
            ${bootJson}
            EOF
            sed -i "s,@out@,$out,g" $out/boot.json
          ''
      }
    '';
  elder = package "elder" "0.9" 7000;
in
rec {
  one = toplevel {
    version = "26.05.1";
    revision = "1111111";
    kernel = "6.12.1";
    packages = [
      (package "hello" "1.0" 10000)
      elder
    ];
  };
  two = toplevel {
    version = "26.05.2";
    kernel = "6.12.2";
    packages = [
      (package "hello" "1.1" 30000)
      elder
    ];
    specialisations = { inherit safe; };
  };
  three = toplevel {
    version = "26.05.3";
    revision = "3333333";
    kernel = "6.12.2";
    packages = [
      (package "hello" "2.0" 50000)
      (package "newcomer" "3.1" 20000)
    ];
  };
  safe = toplevel {
    version = "26.05.2-safe";
    kernel = "6.12.1";
    packages = [ elder ];
  };
  # No kernel, no boot.json.
  container = toplevel {
    version = "26.05.4";
    packages = [ ];
  };
  broken = toplevel {
    version = "26.05.5";
    kernel = "6.12.2";
    packages = [ ];
    bootJson = ''{ "org.nixos.boot'';
  };
}
