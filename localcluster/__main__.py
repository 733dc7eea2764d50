from localcluster.cli import main

main()
