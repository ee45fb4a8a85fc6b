import "./base.css";
import { start } from "./app/app";

start(document.body);
